// Programs in the form that tfjs's `runWebGPUProgram` takes: the backend writes the head of each
// shader, with `result`, the inputs by name and `uniforms`.
//
// Each computes all words of a new tensor of int32.  Nothing here knows what a buffer is.

const LANES = 64;
const UNIFORMS = { u32: "uint32", i32: "int32", f32: "float32" };
const NAMES = ["X", "Y", "Z"];

// By kernel of the judge, what a word of each written buffer becomes: x, y and z are the words of
// the buffers, s0, s1, ... the scalars.  docs/API.md has their meaning.
const KERNELS = {
  affine: { X: "s0 * x + s1" },
  fold: { Y: "y * s0 + x" },
  mix: { Z: "turned(z ^ (x * s0), 7u) + y * s1" },
  scramble: { X: "turned(x, 5u) * 0x9E3779B1u + i" },
  many: { X: hash("x", 12) },
  widen: { Y: "y * 3u + bitcast<u32>(bitcast<i32>(x) >> u32(s0 & 31))" },
  exchange: { X: "y", Y: "y * s0 + x" },
  count: { X: "(s0 * x + s1 + i) % 5u + 1u" },
  blend: { Y: "bitcast<u32>(abs(bitcast<f32>(x)) * abs(s0) + abs(bitcast<f32>(y)) * 0.5)" },
};

function hash(word, scalars) {
  if (!scalars) return word;
  return `((${hash(word, scalars - 1)}) * 0x01000193u) ^ bitcast<u32>(s${scalars - 1})`;
}

class Program {
  dispatchLayout = { x: [0] };
  workgroupSize = [LANES, 1, 1];
  size = true;

  constructor(shaderKey, words, variableNames, uniforms, code) {
    Object.assign(this, { shaderKey, variableNames, uniforms, code, outputShape: [words] });
    this.dispatch = [Math.ceil(words / LANES), 1, 1];
  }

  getUserCode() {
    return `
      fn turned(word : u32, bits : u32) -> u32 { return (word << bits) | (word >> (32u - bits)); }
      fn main(index : i32) { ${this.code} }`;
  }
}

// What the kernel writes, in order: for each such buffer its index, a program over the words of the
// buffers, and the values of its uniforms.
export function programsOf({ name, buffers, scalars: types }, sizes, scalars, groups) {
  const count = Math.min(...sizes, LANES * groups);
  const uniforms = types.map((type, at) => `s${at} : ${type}, `).join("");
  const data = types.map((type, at) => ({ type: UNIFORMS[type], data: [scalars[at]] }));
  return Object.entries(KERNELS[name]).map(([written, word]) => {
    const names = NAMES.slice(0, buffers.length);
    const code = `
      if (index < uniforms.size) {
        let i = u32(index);
        ${types.map((_, at) => `let s${at} = uniforms.s${at};`).join(" ")}
        var next = bitcast<u32>(${written}[index]);
        if (index < uniforms.count) {
          ${names.map((x) => `let ${x.toLowerCase()} = bitcast<u32>(${x}[index]);`).join(" ")}
          next = ${word};
        }
        result[index] = bitcast<i32>(next);
      }`;
    const at = NAMES.indexOf(written);
    const program = new Program(`${name}_${at}`, sizes[at], names, `count : i32, ${uniforms}`, code);
    return { at, program, uniforms: [{ type: "int32", data: [count] }, ...data] };
  });
}

// The words of Y, and from word `to` on `words` of X, which begin there at word `from`.
export function patched(size, from, to, words) {
  const code = `
    if (index < uniforms.size) {
      let at = index - uniforms.to;
      var word = Y[index];
      if (at >= 0 && at < uniforms.words) { word = X[at + uniforms.start]; }
      result[index] = word;
    }`;
  const uniforms = [from, to, words].map((value) => ({ type: "int32", data: [value] }));
  const fields = "start : i32, to : i32, words : i32, ";
  return { program: new Program("patched", size, ["X", "Y"], fields, code), uniforms };
}

// x[group mod n] += a*group + 1, once for each group, over the result as it is.
export function tally(size, scalar, groups) {
  const code = `
    if (index < uniforms.groups) {
      atomicAdd(&result[index % uniforms.size], bitcast<i32>(u32(index) * uniforms.by + 1u));
    }`;
  const program = new Program("tally", size, [], "groups : i32, by : u32, ", code);
  Object.assign(program, { atomic: true, dispatch: [groups, 1, 1], workgroupSize: [1, 1, 1] });
  const uniforms = [{ type: "int32", data: [groups] }, { type: "uint32", data: [scalar] }];
  return { program, uniforms };
}
