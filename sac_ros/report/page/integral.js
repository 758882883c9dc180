// Integrals of exp(Q / alpha) over a curve Q that is linear between grid points. They are exact at
// every temperature, also where the policy is narrower than the grid.

// Return soft value V = alpha log Z, entropy H, density at the grid points and P of each basin.
function softPolicy(q, step, alpha, basins) {
  const top = Math.max(...q);
  const x = q.map((value) => (value - top) / alpha);
  const mass = [];
  let z = 0;
  let moment = 0; // integral of x exp(x)
  for (let i = 0; i + 1 < x.length; i += 1) {
    const [m, n] = segment(x[i], x[i + 1]);
    mass.push(step * m);
    z += step * m;
    moment += step * n;
  }
  const probability = basins.map(([a, b]) => mass.slice(a, b).reduce((sum, part) => sum + part, 0) / z);
  return {
    value: top + alpha * Math.log(z), entropy: Math.log(z) - moment / z, top,
    density: x.map((part) => Math.exp(part) / z), probability,
  };
}

// Return the integrals over t in [0, 1] of exp(y) and y exp(y) with y = a + (b - a) t.
function segment(a, b) {
  const d = b - a;
  if (Math.abs(d) < 1e-2) { // Simpson's rule: the closed form loses digits
    const m = (a + b) / 2;
    return [(Math.exp(a) + 4 * Math.exp(m) + Math.exp(b)) / 6, (a * Math.exp(a) + 4 * m * Math.exp(m) + b * Math.exp(b)) / 6];
  }
  const [ea, eb] = [Math.exp(a), Math.exp(b)];
  return [(eb - ea) / d, ((b - 1) * eb - (a - 1) * ea) / d];
}

// Return the density of a = tanh(u), u normal, at a in (-1, 1).
function squashedNormal(a, mean, logStd) {
  if (Math.abs(a) >= 1) return null;
  const u = (Math.atanh(a) - mean) / Math.exp(logStd);
  return Math.exp(-0.5 * u * u - logStd - 0.5 * Math.log(2 * Math.PI)) / (1 - a * a);
}
