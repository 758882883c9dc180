// Copyright 2026 sac_ros maintainers
//
// Licensed under the Apache License, Version 2.0 (the "License");
// you may not use this file except in compliance with the License.
// You may obtain a copy of the License at
//
//     http://www.apache.org/licenses/LICENSE-2.0
//
// Unless required by applicable law or agreed to in writing, software
// distributed under the License is distributed on an "AS IS" BASIS,
// WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
// See the License for the specific language governing permissions and
// limitations under the License.

// sac_ros::product: matrix products for processors with AVX-512, and what follows them.
//
// The right factor is copied panel by panel, 32 columns each, into the order in which it is read;
// the left one is read where it lies, whatever its strides. A tile of 14 x 32 results stays in
// registers over the whole depth: 28 of the 32 hold sums, two hold the right factor, and the left
// one is broadcast from memory (Goto and van de Geijn, 2008, "Anatomy of high-performance matrix
// multiplication"). With bf16 both factors are rounded to bfloat16 first, two of them to a 32-bit
// cell, next to each other in depth; sums stay in float32.

#include <immintrin.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace {

using torch::stable::Tensor;
constexpr int64_t ROWS = 14, LANES = 16, COLUMNS = 2 * LANES;
constexpr int64_t DEPTH = 512;  // cells of depth in a panel, 64 KiB

// A matrix of 32-bit cells: a float32, or two bfloat16 that follow each other in depth.
struct Matrix {
  const float* data;
  int64_t row, column;  // strides, in cells

  Matrix at(int64_t i, int64_t j) const { return {data + i * row + j * column, row, column}; }
};

// What is read soon, so that it is fetched in time: a line of the cache per cell of depth.
struct Ahead {
  const char* line;
  int64_t step;  // [bytes]

  void fetch() {
    _mm_prefetch(line, _MM_HINT_T1);
    line += step;
  }
};
constexpr int64_t LINE = 64;  // [bytes]

__mmask16 first(int64_t n) { return n >= LANES ? 0xffff : (1u << std::max<int64_t>(n, 0)) - 1; }

// Which cells are not at most 0; those are, through which the gradient of a ReLU goes.
inline __mmask16 is_positive(__m512 x) {
  return _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_NLE_UQ);
}

template <bool BF16>
inline __m512 multiply_add(__m512 x, __m512 y, __m512 sum) {
#ifdef __AVX512BF16__
  if constexpr (BF16) return _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)y);
#endif
  return _mm512_fmadd_ps(x, y, sum);
}

// Two vectors as bfloat16, one after the other.
inline __m512 in_order(__m512 low, __m512 high) {
#ifdef __AVX512BF16__
  return (__m512)_mm512_cvtne2ps_pbh(high, low);
#endif
  return low;
}

// Two vectors as bfloat16, values of either in turn.
inline __m512 pairs(__m512 low, __m512 high) {
  const auto order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
                                      23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const auto both = _mm512_castps_si512(in_order(low, high));
  return _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, both));
}

// Up to 16 cells of a row, 0 where it has no more.
inline __m512 cells_of(Matrix from, int64_t n) {
  if (from.column == 1) return _mm512_maskz_loadu_ps(first(n), from.data);
  const auto index =
      _mm512_mullo_epi32(_mm512_set1_epi32(from.column),
                         _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
  return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), first(n), index, from.data, 4);
}

// What the tiles of a panel have in common.
struct Panel {
  const float* right;   // (depth, 16 V), copied
  int64_t depth;        // [cells]
  int64_t row, column;  // strides of the left factor
  int64_t stride, n;    // of the result's rows; how many of its columns count
  bool add, relu;       // sums are added to what is there; are at least 0
  const float* bias;    // (n), added; may be null
};

// A tile of R x 16 V results; they are 0 where `positive`, laid out as they are, is not.
template <bool BF16, int R, int V, bool SIDE_BY_SIDE>
void tile(const Panel& panel, const float* left, float* to, const float* positive, Ahead next_left,
          Ahead next_right) {
  __m512 sum[R][V];
  const int64_t stride = panel.stride;
  const auto each = [&](auto change) {
#pragma GCC unroll 16
    for (int i = 0; i < R; i++)
#pragma GCC unroll 2
      for (int j = 0; j < V; j++) change(sum[i][j], i * stride + LANES * j, LANES * j);
  };
  const auto zero = _mm512_setzero_ps();
  each([&](__m512& x, int64_t cell, int64_t) {
    x = zero;
    __builtin_prefetch(to + cell, 1);
    if (positive) __builtin_prefetch(positive + cell);
  });
  // Three rows from one pointer: more pointers than that do not fit into the registers.
  constexpr int POINTERS = SIDE_BY_SIDE ? 1 : (R + 2) / 3;
  const int64_t row = panel.row, column = panel.column;
  const float *from[POINTERS], *right = panel.right;
  for (int i = 0; i < POINTERS; i++) from[i] = left + 3 * i * row;
  for (int64_t k = panel.depth; k > 0; k--, right += V * LANES) {
    next_left.fetch();
    next_right.fetch();
    __m512 cells[V];
#pragma GCC unroll 2
    for (int j = 0; j < V; j++) cells[j] = _mm512_load_ps(right + LANES * j);
#pragma GCC unroll 16
    for (int i = 0; i < R; i++) {
      const auto cell = _mm512_set1_ps(SIDE_BY_SIDE ? from[0][i] : from[i / 3][i % 3 * row]);
#pragma GCC unroll 2
      for (int j = 0; j < V; j++) sum[i][j] = multiply_add<BF16>(cell, cells[j], sum[i][j]);
    }
    for (int i = 0; i < POINTERS; i++) from[i] += column;
  }
  const auto mask = [&](int64_t j) { return first(panel.n - j); };
  if (panel.add)
    each([&](__m512& x, int64_t cell, int64_t j) {
      x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(mask(j), to + cell));
    });
  if (panel.bias)
    each([&](__m512& x, int64_t, int64_t j) {
      x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(mask(j), panel.bias + j));
    });
  if (panel.relu)  // in this order NaN stays NaN
    each([&](__m512& x, int64_t, int64_t) { x = _mm512_max_ps(zero, x); });
  if (positive)
    each([&](__m512& x, int64_t cell, int64_t j) {
      const auto y = _mm512_maskz_loadu_ps(mask(j), positive + cell);
      x = _mm512_maskz_mov_ps(is_positive(y), x);
    });
  if (panel.n >= LANES * V)
    each([&](__m512& x, int64_t cell, int64_t) { _mm512_storeu_ps(to + cell, x); });
  else
    each(
        [&](__m512& x, int64_t cell, int64_t j) { _mm512_mask_storeu_ps(to + cell, mask(j), x); });
}

// Tiles of 1 to ROWS rows.
template <bool BF16, int V, bool SIDE_BY_SIDE, int... R>
constexpr auto tiles(std::integer_sequence<int, R...>) {
  return std::array{&tile<BF16, R + 1, V, SIDE_BY_SIDE>...};
}

// All rows of a panel's columns. `fresh` is set while the left factor is read for the first time;
// `right` is what the next panel will be copied from.
template <bool BF16, int V, bool SIDE_BY_SIDE>
void all_rows(const Panel& panel, int64_t rows, const float* left, float* to,
              const float* positive, bool fresh, Matrix right) {
  static constexpr auto TILES =
      tiles<BF16, V, SIDE_BY_SIDE>(std::make_integer_sequence<int, ROWS>());
  const Ahead nothing{(const char*)panel.right, 0};
  const Ahead next_right{(const char*)right.data, right.column == 1 ? right.row * 4 : LINE};
  const int64_t step = SIDE_BY_SIDE ? panel.column * 4 : LINE;
  for (int64_t i = 0; i < rows; i += ROWS) {
    const float* cells = left + i * panel.row;
    const int64_t part = i / ROWS;
    TILES[std::min(ROWS, rows - i) - 1](
        panel, cells, to + i * panel.stride, positive ? positive + i * panel.stride : positive,
        fresh ? Ahead{(const char*)(cells + ROWS * panel.row), step} : nothing,
        right.data && part < V
            ? Ahead{next_right.line + part * LANES * right.column * 4, next_right.step}
            : nothing);
  }
}

// The transpose of a square of 16 x 16.
inline void transpose(__m512* r) {
  __m512 t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    const auto d = [&](int j) { return _mm512_castps_pd(t[4 * i + j]); };
    r[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(d(0), d(2)));
    r[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(d(0), d(2)));
    r[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(d(1), d(3)));
    r[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(d(1), d(3)));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
  }
}

// 16 columns of `from`, `n` of which count, into cells (depth, 16) that lie `step` apart.
template <bool BF16>
void pack(int64_t depth, int64_t n, Matrix from, float* to, int64_t step) {
  constexpr int64_t CELL = BF16 ? 2 : 1;
  if (from.row == 1 && from.column != 1) {  // columns lie in one piece each
    for (int64_t k = 0; k < depth; k += LANES * CELL) {
      __m512 part[2][LANES];
      const int64_t deep = std::min(LANES * CELL, depth - k);
      for (int64_t h = 0; h < CELL; h++) {
        for (int i = 0; i < LANES; i++)
          part[h][i] = i < n ? _mm512_maskz_loadu_ps(first(deep - h * LANES),
                                                     from.at(k + h * LANES, i).data)
                             : _mm512_setzero_ps();
        transpose(part[h]);
      }
      for (int64_t i = 0; i < deep; i += CELL, to += step)
        _mm512_store_ps(to, BF16
                                ? pairs(part[i / LANES][i % LANES], part[i / LANES][i % LANES + 1])
                                : part[0][i]);
    }
    return;
  }
  const auto load = [&](int64_t k) { return cells_of(from.at(k, 0), k < depth ? n : 0); };
  for (int64_t k = 0; k < depth; k += CELL, to += step)
    _mm512_store_ps(to, BF16 ? pairs(load(k), load(k + 1)) : load(k));
}

// The left factor as bfloat16 in pairs: cells (rows, (depth + 1) / 2), as they are laid out in
// `from`.
Matrix rounded(int64_t rows, int64_t depth, Matrix from, std::vector<float>& cells) {
  const int64_t half = (depth + 1) / 2;
  cells.resize(rows * half + LANES);
  float* to = cells.data();
  if (from.row == 1) {
    for (int64_t k = 0; k < depth; k += 2)
      for (int64_t i = 0; i < rows; i += LANES) {
        const auto mask = first(rows - i);
        const auto low = _mm512_maskz_loadu_ps(mask, from.at(i, k).data);
        const auto high = _mm512_maskz_loadu_ps(k + 1 < depth ? mask : 0, from.at(i, k + 1).data);
        _mm512_mask_storeu_ps(to + k / 2 * rows + i, mask, pairs(low, high));
      }
    return {to, 1, rows};
  }
  for (int64_t i = 0; i < rows; i++)
    for (int64_t k = 0; k < depth; k += 2 * LANES)
      _mm512_mask_storeu_ps(to + i * half + k / 2, first(half - k / 2),
                            in_order(cells_of(from.at(i, k), depth - k),
                                     cells_of(from.at(i, k + LANES), depth - k - LANES)));
  return {to, half, 1};
}

// What is done to a result at the end: bias (N) is added, then the greater of it and 0 is taken,
// then 0 where `positive` (M, N) is not. Either may be null.
struct Ending {
  bool relu;
  const float *bias, *positive;
};

// to (rows, columns) = left (rows, depth) @ right (depth, columns), ended.
template <bool BF16>
void multiply(int64_t rows, int64_t columns, int64_t depth, Matrix left, Matrix right, float* to,
              Ending ending) {
  static thread_local std::vector<float> cells;
  constexpr int64_t CELL = BF16 ? 2 : 1;
  for (int64_t k = 0; k < depth; k += DEPTH * CELL) {
    const int64_t deep = std::min(DEPTH * CELL, depth - k);
    const bool last = k + deep == depth;
    const Matrix block = BF16 ? rounded(rows, deep, left.at(0, k), cells) : left.at(0, k);
    torch::stable::parallel_for(
        0, (columns + COLUMNS - 1) / COLUMNS, 1, [&](int64_t begin, int64_t end) {
          alignas(64) float copy[DEPTH * COLUMNS];
          for (int64_t j = begin * COLUMNS; j < std::min(columns, end * COLUMNS); j += COLUMNS) {
            const int64_t n = columns - j, vectors = n > LANES ? 2 : 1;
            for (int64_t v = 0; v < vectors; v++)
              pack<BF16>(deep, std::min(LANES, n - v * LANES), right.at(k, j + v * LANES),
                         copy + v * LANES, vectors * LANES);
            const Panel panel{copy,
                              (deep + CELL - 1) / CELL,
                              block.row,
                              block.column,
                              columns,
                              n,
                              k > 0,
                              last && ending.relu,
                              last && ending.bias ? ending.bias + j : nullptr};
            const bool side = block.row == 1, wide = vectors == 2;
            const auto run = wide   ? side ? all_rows<BF16, 2, true> : all_rows<BF16, 2, false>
                             : side ? all_rows<BF16, 1, true>
                                    : all_rows<BF16, 1, false>;
            run(panel, rows, block.data, to + j,
                last && ending.positive ? ending.positive + j : nullptr, j == 0,
                j + COLUMNS < columns ? right.at(k, j + COLUMNS) : Matrix{});
          }
        });
  }
}

// Which rows of `from` hold anything but zeros.
std::vector<int64_t> filled(int64_t rows, int64_t depth, Matrix from) {
  std::vector<int64_t> found;
  for (int64_t i = 0; i < rows; i++)
    for (int64_t k = 0; k < depth; k += LANES) {
      const auto cells = cells_of(from.at(i, k), depth - k);
      if (_mm512_cmp_ps_mask(cells, _mm512_setzero_ps(), _CMP_NEQ_UQ)) {
        found.push_back(i);
        break;
      }
    }
  return found;
}

// As multiply, for a left factor with rows of zeros: they are left out, and their results are 0.
// Such rows make half of the factor where a gradient goes through the least of two critics.
template <bool BF16>
void multiply_filled(int64_t rows, int64_t columns, int64_t depth, Matrix left, Matrix right,
                     float* to, Ending ending) {
  static thread_local std::vector<float> from, result;
  const auto found =
      left.column == 1 && !ending.bias ? filled(rows, depth, left) : std::vector<int64_t>(rows);
  const int64_t n = found.size();
  if (n > rows * 3 / 4) return multiply<BF16>(rows, columns, depth, left, right, to, ending);
  from.resize(n * depth), result.resize(n * columns);
  for (int64_t i = 0; i < n; i++)
    std::copy_n(left.at(found[i], 0).data, depth, from.data() + i * depth);
  multiply<BF16>(n, columns, depth, {from.data(), depth, 1}, right, result.data(),
                 {ending.relu, nullptr, nullptr});
  const float* x = result.data();
  for (int64_t i = 0, next = 0; i < rows; i++, to += columns) {
    if (next == n || found[next] != i) {
      std::fill_n(to, columns, 0.0f);
      continue;
    }
    for (int64_t j = 0; j < columns; j += LANES) {
      const auto mask = first(columns - j);
      auto keep = mask;
      if (ending.positive)
        keep = is_positive(_mm512_maskz_loadu_ps(mask, ending.positive + i * columns + j));
      _mm512_mask_storeu_ps(to + j, mask, _mm512_maskz_loadu_ps(mask & keep, x + j));
    }
    next++, x += columns;
  }
}

// a (..., M, K) @ b (..., K, N) in float32, with at most one dimension before the last two, equal
// in both; then plus bias (..., 1, N) or (N,); then relu; then 0 where positive (..., M, N) is
// not.
Tensor product(const Tensor& a, const Tensor& b, bool bf16, std::optional<Tensor> bias, bool relu,
               std::optional<Tensor> positive) {
  const int64_t d = a.dim();
  STD_TORCH_CHECK((d == 2 || d == 3) && b.dim() == d, "product takes two or three dimensions");
  const int64_t rows = a.size(d - 2), depth = a.size(d - 1), columns = b.size(d - 1);
  const int64_t n = d == 3 ? a.size(0) : 1;
  const auto fits = [](const Tensor& t, int64_t numel) {
    return t.scalar_type() == torch::headeronly::ScalarType::Float && t.numel() == numel;
  };
  STD_TORCH_CHECK(fits(a, n * rows * depth) && fits(b, n * depth * columns),
                  "product takes float32 (M, K) and (K, N), or as many of each");
  STD_TORCH_CHECK(
      !bias || (bias->is_contiguous() && (fits(*bias, columns) || fits(*bias, n * columns))),
      "product takes a contiguous bias (N,) or (n, 1, N)");
  STD_TORCH_CHECK(!positive || (positive->is_contiguous() && fits(*positive, n * rows * columns)),
                  "product takes a contiguous mask of the shape of its result");
  const int64_t sizes[] = {n, rows, columns}, strides[] = {rows * columns, columns, 1};
  AtenTensorHandle handle;
  STABLE_TORCH_ERROR_CODE_CHECK(
      aoti_torch_empty_strided(d, sizes + 3 - d, strides + 3 - d, aoti_torch_dtype_float32(),
                               aoti_torch_device_type_cpu(), 0, &handle));
  Tensor result(handle);
  const auto floats = [](const Tensor& t) { return static_cast<const float*>(t.data_ptr()); };
  for (int64_t i = 0; i < n; i++) {
    const auto matrix = [&](const Tensor& t) {
      return Matrix{floats(t) + (d == 3 ? i * t.stride(0) : 0), t.stride(d - 2), t.stride(d - 1)};
    };
    Ending ending{relu, nullptr, nullptr};
    if (bias) ending.bias = floats(*bias) + (bias->numel() > columns ? i * columns : 0);
    if (positive) ending.positive = floats(*positive) + i * rows * columns;
    float* to = static_cast<float*>(result.data_ptr()) + i * rows * columns;
    (bf16 ? multiply_filled<true> : multiply_filled<false>)(rows, columns, depth, matrix(a),
                                                            matrix(b), to, ending);
  }
  return result;
}

}  // namespace

// products.py has its schema.
STABLE_TORCH_LIBRARY_IMPL(sac_ros, CPU, m) { m.impl("product", TORCH_BOX(&product)); }
