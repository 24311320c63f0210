// Pointer, wheel and keys on the map.

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STEP = 60; // pixels that an arrow key moves
const STILL = 3; // pixels within which a press is a click

// Calls of `act`: ready() whether there is a map; drawing() whether a press draws a lasso; hover(u, v); click(u, v);
// pan(du, dv) in pixels; zoomBy(factor, u, v); showAll(); middle(), Enter; cancel(), Escape; draw(); inside(corners), after a
// lasso. Returns an object whose `lasso` is the corners so far.
export function startGestures(overlay, act) {
  const pointers = new Map(), gestures = { lasso: [] };
  let moved = 0;
  const at = (event) => { const edge = overlay.getBoundingClientRect(); return [event.clientX - edge.left, event.clientY - edge.top]; };

  function press(event) {
    if (!act.ready()) return;
    overlay.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    moved = 0;
    if (act.drawing() || event.shiftKey) gestures.lasso = [at(event)];
  }

  function move(event) {
    if (!act.ready()) return;
    const now = at(event), before = pointers.get(event.pointerId);
    if (!before) { act.hover(...now); return; }
    moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (gestures.lasso.length) gestures.lasso.push(now);
    else if (other) { // two fingers
      const spread = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]) || 1;
      act.zoomBy(spread(now) / spread(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else if (moved > STILL) act.pan(before[0] - now[0], before[1] - now[1]);
    pointers.set(event.pointerId, now);
    act.draw();
  }

  function release(event) {
    const alone = pointers.size === 1, corners = gestures.lasso;
    if (!pointers.delete(event.pointerId)) return;
    gestures.lasso = [];
    if (corners.length > 2 && moved > STILL) act.inside(corners);
    else if (alone && moved <= STILL && act.ready()) act.click(...at(event));
    act.draw();
  }

  function cancel(event) { pointers.delete(event.pointerId); gestures.lasso = []; act.draw(); }

  function key(event) {
    if (!act.ready() || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in STEPS) act.pan(STEPS[event.key][0] * STEP, STEPS[event.key][1] * STEP);
    else if (event.key === "+" || event.key === "=") act.zoomBy(1.5);
    else if (event.key === "-") act.zoomBy(1 / 1.5);
    else if (event.key === "0") act.showAll();
    else if (event.key === "Enter") act.middle();
    else if (event.key === "Escape") { gestures.lasso = []; act.cancel(); }
    else return;
    event.preventDefault();
  }

  overlay.addEventListener("pointerdown", press);
  overlay.addEventListener("pointermove", move);
  overlay.addEventListener("pointerup", release);
  overlay.addEventListener("pointercancel", cancel);
  overlay.addEventListener("pointerleave", () => act.hover(-1e6, -1e6));
  overlay.addEventListener("keydown", key);
  overlay.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (act.ready()) act.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), ...at(event));
  }, { passive: false });
  overlay.addEventListener("focus", act.draw);
  overlay.addEventListener("blur", act.draw);
  return gestures;
}
