// Runs every reproduction, and with --changes every change on every reproduction.
//
//     node targets/tfjs/reproductions/all.mjs [--changes]

import { fileURLToPath } from "node:url";
import { runAll } from "../../reproducing.mjs";

const PACKAGES = ["@tensorflow/tfjs-backend-webgpu", "@tensorflow/tfjs-core"];
await runAll(fileURLToPath(new URL(".", import.meta.url)), PACKAGES);
