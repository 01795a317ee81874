// Runs every reproduction in Chromium, and with --changes every change on every reproduction.
//
//     node targets/onnxruntime/reproductions/all.mjs [--changes]
//
// Needs a Python with gpusim on the PATH, and `npm --prefix targets/onnxruntime install`.

import { fileURLToPath } from "node:url";
import { runAllInPage } from "../../reproducing.mjs";

const folder = fileURLToPath(new URL(".", import.meta.url));
await runAllInPage(folder, ["onnxruntime-web"], "targets/onnxruntime/reproductions.html");
