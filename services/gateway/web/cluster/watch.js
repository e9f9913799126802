// Looks again and again: every few seconds, more rarely while nobody answers, never while the tab is hidden.

/**
 * Calls the async `look()` now and then every `everyMs`; after each failure in a row the pause doubles, up to `longestMs`.
 * A hidden tab asks nothing, and asks at once when it is seen again. `failed(error)` hears of failures.
 */
export function makeWatch(look, { everyMs = 3000, longestMs = 30000, failed = () => {} } = {}) {
  let timer = null;
  let failures = 0;
  let looking = null;
  let again = false;
  let closed = false;

  async function turn() {
    clearTimeout(timer);
    try {
      await look();
      failures = 0;
    } catch (error) {
      failures += 1;
      if (!closed) failed(error);
    }
    looking = null;
    if (closed) return;
    if (again) now();
    else if (!document.hidden) timer = setTimeout(now, Math.min(everyMs * 2 ** failures, longestMs));
  }

  /** Looks at once; after the look that is under way, if there is one. */
  function now() {
    again = !!looking;
    looking ??= turn();
    return looking;
  }

  const seen = () => (document.hidden ? clearTimeout(timer) : now());
  document.addEventListener("visibilitychange", seen);
  if (!document.hidden) now();

  return {
    now,
    close() {
      closed = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    },
  };
}
