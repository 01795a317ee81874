// A product with a transposed second operand has other numbers, where its inner dimension is long.
//
// Row j of the second operand is all j, so that column j of the product is 2,048 times j.
import { reproduce } from "./harness.mjs";

const [ROWS, INNER] = [16, 2048];

await reproduce(async (tf) => {
  const ones = tf.ones([ROWS, INNER]);
  const values = Float32Array.from({ length: ROWS * INNER }, (_, i) => Math.floor(i / INNER));
  const rows = tf.tensor2d(values, [ROWS, INNER]);
  const beginning = async (product) => (await product.data()).slice(0, 5);
  const wanted = "0,2048,4096,6144,8192";
  return [
    [await beginning(tf.matMul(ones, tf.transpose(rows))), wanted, "the product with a transpose before it"],
    [await beginning(tf.matMul(ones, rows, false, true)), wanted, "the product with `transposeB`"],
  ];
});
