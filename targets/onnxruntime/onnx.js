// ONNX models as bytes: the few messages of ONNX's protocol buffers that small graphs need.
//
// A graph is `{ inputs, outputs, constants, nodes }`.  An input or output is `{ name, dtype, size }`,
// a tensor of one dimension; a size that is a word stands for any.  A constant is `{ name, values }`,
// whole numbers of 64 bits.  A node is `{ op, inputs, output, axis }`.

const IR_VERSION = 8;
const OPSET = 17;
const ELEMENTS = { float32: 1, int32: 6, int64: 7, uint32: 12 };
const INT = 2; // The type of an attribute that is a whole number.

const text = new TextEncoder();

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return [...bytes, value];
}

// One field of a message: a whole number, or the bytes of a text or of another message.
function field(number, value) {
  if (typeof value === "number") return [...varint(number << 3), ...varint(value)];
  const bytes = typeof value === "string" ? text.encode(value) : value;
  return [...varint((number << 3) | 2), ...varint(bytes.length), ...bytes];
}

function fields(number, values) {
  return values.flatMap((value) => field(number, value));
}

function valueInfo({ name, dtype, size }) {
  const dimension = typeof size === "number" ? field(1, size) : field(2, size);
  const tensor = [...field(1, ELEMENTS[dtype]), ...field(2, field(1, dimension))];
  return [...field(1, name), ...field(2, field(1, tensor))];
}

function constant({ name, values }) {
  const raw = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  return [...field(1, values.length), ...field(2, ELEMENTS.int64), ...field(8, name), ...field(9, raw)];
}

function node({ op, inputs, output, axis }) {
  const attribute = axis === undefined ? [] : [[...field(1, "axis"), ...field(3, axis), ...field(20, INT)]];
  return [...fields(1, inputs), ...field(2, output), ...field(4, op), ...fields(5, attribute)];
}

export function encodeModel({ inputs, outputs, constants, nodes }) {
  const graph = [
    ...fields(1, nodes.map(node)),
    ...field(2, "ops"),
    ...fields(5, constants.map(constant)),
    ...fields(11, inputs.map(valueInfo)),
    ...fields(12, outputs.map(valueInfo)),
  ];
  return Uint8Array.from([...field(1, IR_VERSION), ...field(7, graph), ...field(8, field(2, OPSET))]);
}
