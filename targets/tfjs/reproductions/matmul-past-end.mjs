// A product of matrices reads its second operand past the end, and what it finds is multiplied by 0.
//
// In a batch, what is behind one matrix is the next one: no access leaves the buffer, and the numbers
// of one product depend on the matrix of another.
import { reproduce } from "./harness.mjs";

await reproduce(async (tf) => {
  const column = tf.ones([200, 1]);
  const values = new Float32Array(200).fill(1);
  values[199] = Infinity;
  const product = await tf.matMul(column, tf.tensor2d(values, [1, 200])).data();
  const tall = await tf.matMul(tf.ones([64, 7]), tf.concat([
    tf.ones([6, 64]), tf.tensor2d(Float32Array.from({ length: 64 }, (_, i) => i === 63 ? NaN : 1), [1, 64]),
  ])).data();
  const two = Float32Array.from({ length: 2 * 7 * 64 }, (_, i) => i === 7 * 64 ? NaN : 1);
  const batch = await tf.matMul(tf.ones([2, 64, 7]), tf.tensor3d(two, [2, 7, 64])).data();
  return [
    [product[0], "1", "the first number of a column times a row that ends in infinity"],
    [product[199], "Infinity", "its number where infinity is meant"],
    [product.filter(Number.isNaN).length, "0", "the numbers of it that are NaN"],
    [tall.filter(Number.isNaN).length, "64", "the numbers that are NaN where one column is"],
    [batch.slice(0, 64 * 64).filter(Number.isNaN).length, "0", "the NaN of a product before that with a NaN"],
    [batch.slice(64 * 64).filter(Number.isNaN).length, "64", "the NaN of the product with a NaN"],
  ];
});
