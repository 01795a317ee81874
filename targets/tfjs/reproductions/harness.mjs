// What every reproduction needs: the packages as published, over a device.
//
//     node targets/tfjs/reproductions/NAME.mjs             the packages as they are
//     node targets/tfjs/reproductions/NAME.mjs CHANGE      the packages with CHANGE.diff, in memory
//
// Each prints what is wrong and exits with 1, or prints "nothing wrong" and exits with 0.

import { show } from "../../shown.js";
import { tfWith } from "../packages.mjs";

export const USAGE = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC;

// Runs `body(tf, device)`, which gives triples of what is there, what ought to be, and its name.
export async function reproduce(body) {
  const tf = await tfWith(process.argv[2]);
  await tf.setBackend("webgpu");
  const { device } = tf.backend();
  await show(device, async () => {
    const triples = await body(tf, device);
    return triples.map(([got, wanted, what]) => [`${got}`, `${wanted}`, what]);
  });
}
