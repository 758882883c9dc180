// The arm as a skeleton on a canvas, turned by dragging; used for thumbnails and playback.

const VIEW = { azimuth: 2.4, elevation: 0.35 };

// Draw base, joints and tip (k, 3) [m] and the goal (3); options: height [px], extent [m], trail, radius.
function drawArm(canvas, points, goal, options = {}) {
  const c = colors();
  const view = options.view || VIEW;
  const [width, height] = [canvas.clientWidth, options.height];
  const scale = window.devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.height = `${height}px`;
  const g = canvas.getContext('2d');
  g.scale(scale, scale);
  const all = goal ? [...points, goal] : points;
  const extent = options.extent || Math.max(...all.flatMap((p) => p.map(Math.abs)));
  const unit = height / (2.25 * extent);
  const project = ([x, y, z]) => {
    const [s, k] = [Math.sin(view.azimuth), Math.cos(view.azimuth)];
    const [u, d] = [x * k + y * s, y * k - x * s]; // right and depth before the tilt
    return [width / 2 + unit * u, 0.66 * height - unit * (z * Math.cos(view.elevation) + d * Math.sin(view.elevation))];
  };
  const line = (path, color, thickness) => {
    g.beginPath();
    path.map(project).forEach(([u, v], i) => (i ? g.lineTo(u, v) : g.moveTo(u, v)));
    Object.assign(g, { strokeStyle: color, lineWidth: thickness, lineCap: 'round', lineJoin: 'round' });
    g.stroke();
  };
  const dot = (point, radius, color) => {
    const [u, v] = project(point);
    g.beginPath();
    g.arc(u, v, radius, 0, 2 * Math.PI);
    g.fillStyle = color;
    g.fill();
  };
  floor(line, extent, c.line);
  const thick = Math.max(3, height / 26);
  line(points.map(([x, y]) => [x, y, 0]), faded(c.text, 0.1), thick);
  if (goal) {
    line([goal, [goal[0], goal[1], 0]], faded(c.good, 0.35), 1);
    dot([goal[0], goal[1], 0], 2, faded(c.good, 0.5));
    if (options.radius) dot(goal, Math.max(unit * options.radius, 3), faded(c.good, 0.35));
  }
  line(points, c.soft, thick);
  points.slice(1, -1).forEach((point) => dot(point, 0.62 * thick, c.text));
  if (options.trail && options.trail.length > 1) line(options.trail, c.gold, 2);
  if (goal) dot(goal, Math.max(3, height / 60), c.good);
  dot(points[points.length - 1], Math.max(3, height / 75), c.series[1]);
}

function floor(line, extent, color) {
  const n = 4;
  for (let i = -n; i <= n; i += 1) {
    const at = (i / n) * extent;
    line([[at, -extent, 0], [at, extent, 0]], color, 0.6);
    line([[-extent, at, 0], [extent, at, 0]], color, 0.6);
  }
}

// Let a canvas be turned by dragging; calls draw after each change of view.
function turnable(canvas, view, draw) {
  canvas.style.cursor = 'grab';
  canvas.onpointerdown = (event) => canvas.setPointerCapture(event.pointerId);
  canvas.onpointermove = (event) => {
    if (!event.buttons) return;
    view.azimuth -= event.movementX / 120;
    view.elevation = Math.min(1.5, Math.max(0.02, view.elevation + event.movementY / 160));
    draw();
  };
}
