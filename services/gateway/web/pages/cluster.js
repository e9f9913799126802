// The cluster: all of it, or one job.

import { openJob } from "../cluster/job.js";
import { openOverview } from "../cluster/overview.js";

export function open(root, { job }, app) {
  return job ? openJob(root, job, app) : openOverview(root, app);
}
