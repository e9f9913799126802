// What can be done with a job: abort it, or forget one that has ended. Each asks once, and says what is lost.

import { askDelete } from "../dialog.js";

const OVER = new Set(["ended", "failed", "aborted"]);

export const isOver = (job) => OVER.has(job.state);

/** Whether this person may end or forget it. */
export const mayEnd = (app, job) => app.me?.role === "admin" || (app.me?.role === "owner" && job.owner === app.me.name);

const path = (job) => `jobs/${encodeURIComponent(job.id)}`;

/** Asks, aborts the job, then calls `done()`. Asked again while it ends, it is ended at once. */
export function askAbort(app, job, done) {
  const serves = job.state === "serving" || job.state === "starting";
  const text = job.state === "ending" ? "It is being ended in order already. Now it is ended at once: a recording that is being written may lack its end."
    : serves ? "Simulations on it are stopped in order, and their recordings completed. Its nodes are given back."
      : "It leaves the queue. Nothing has run yet.";
  return askDelete({ title: `Abort ${job.id}?`, action: "Abort", text, act: async () => {
    await app.api.del(path(job), { patience_ms: 60000 });
    app.announce(`Job ${job.id} is being aborted`);
    await done();
  } });
}

/** Asks, forgets a job that has ended, with its folder, then calls `done()`. */
export function askForget(app, job, done) {
  return askDelete({ title: `Forget ${job.id}?`, action: "Forget", text: "Its entry, its log and its folder on the cluster go, with recordings there that were not fetched. What is on this server stays.", act: async () => {
    await app.api.del(path(job));
    await done();
  } });
}
