/** Keys that turn a 3-D view: arrows, + and −, 0. */
const TURN = 6;
const ZOOM = 1.15;

/** They act while the focus is inside `root`; `scene()` may be null, `reset` puts the camera back. Returns off functions. */
export function turnKeys(keys, root, scene, reset) {
  const on = (key, act, words) => keys.bind(root, key, () => scene() && act(scene()), words);
  return [
    on("ArrowLeft", (view) => view.orbit(-TURN, 0), "turn the view"),
    on("ArrowRight", (view) => view.orbit(TURN, 0), "turn the view"),
    on("ArrowUp", (view) => view.orbit(0, TURN), "turn the view"),
    on("ArrowDown", (view) => view.orbit(0, -TURN), "turn the view"),
    on("+", (view) => view.zoom(1 / ZOOM), "zoom the view"),
    on("-", (view) => view.zoom(ZOOM), "zoom the view"),
    on("0", reset, "reset the camera"),
  ];
}
