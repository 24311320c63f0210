// Drawing points: with WebGL, or on a 2-D canvas where there is none.

const VERTEX = `
attribute vec2 place; attribute float popularity; attribute float code;
uniform vec2 middle, scale; uniform float size; uniform sampler2D palette;
varying vec4 colour;
void main() {
  gl_Position = vec4((place - middle) * scale, 0.0, 1.0);
  colour = texture2D(palette, vec2((code * 255.0 + 0.5) / 256.0, 0.5));
  gl_PointSize = colour.a > 0.0 ? max(1.0, size * (0.55 + popularity)) : 0.0;
}`;
const FRAGMENT = `
precision mediump float;
varying vec4 colour; uniform float fade;
void main() {
  float edge = length(gl_PointCoord - 0.5);
  float alpha = colour.a * fade * (1.0 - smoothstep(0.38, 0.5, edge));
  if (alpha <= 0.01) discard;
  gl_FragColor = vec4(colour.rgb * alpha, alpha);
}`;
const MOST_ON_CANVAS = 60000; // points that a 2-D canvas draws

export function pointRenderer(canvas, allowed = true) {
  const gl = allowed && canvas.getContext("webgl", { antialias: false, alpha: true, powerPreference: "high-performance" });
  return gl ? webgl(gl, canvas) : flat(canvas.getContext("2d"), canvas);
}

function webgl(gl, canvas) {
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  gl.useProgram(program);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  const uniform = (name) => gl.getUniformLocation(program, name);
  const at = Object.fromEntries(["middle", "scale", "size", "fade"].map((name) => [name, uniform(name)]));
  const buffers = {};
  let count = 0;
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);

  function upload(name, array, size, type, normalised) {
    buffers[name] ||= gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, array, gl.STATIC_DRAW);
    const attribute = gl.getAttribLocation(program, name);
    gl.enableVertexAttribArray(attribute);
    gl.vertexAttribPointer(attribute, size, type, normalised, 0, 0);
  }

  // The last point is drawn on top: items are in order of frequency, so that the most frequent is drawn last.
  function reversed(array, size) {
    const result = new array.constructor(array.length);
    for (let i = 0, n = array.length / size; i < n; i++) for (let k = 0; k < size; k++) result[(n - 1 - i) * size + k] = array[i * size + k];
    return result;
  }

  return {
    kind: "webgl",
    points(data) {
      count = data.items;
      upload("place", reversed(data.position, 2), 2, gl.FLOAT, false);
      upload("popularity", reversed(data.popularity, 1), 1, gl.FLOAT, false);
    },
    codes: (codes) => upload("code", reversed(codes, 1), 1, gl.UNSIGNED_BYTE, true),
    palette: (rgba) => gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, rgba),
    draw(camera, size, fade) {
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.uniform2f(at.middle, camera.x, camera.y);
      gl.uniform2f(at.scale, (2 * camera.across) / camera.wide, (2 * camera.up) / camera.tall);
      gl.uniform1f(at.size, size * camera.dense);
      gl.uniform1f(at.fade, fade);
      gl.drawArrays(gl.POINTS, 0, count);
      return count;
    },
    close: () => gl.getExtension("WEBGL_lose_context")?.loseContext(),
  };
}

function flat(pen, canvas) {
  let data = null, codes = null, colours = [];
  return {
    kind: "canvas",
    points(given) { data = given; },
    codes(given) { codes = given; },
    palette(rgba) { colours = [...Array(256).keys()].map((c) => (rgba[4 * c + 3] ? `rgb(${rgba[4 * c]} ${rgba[4 * c + 1]} ${rgba[4 * c + 2]})` : "")); },
    draw(camera, size, fade) {
      pen.setTransform(1, 0, 0, 1, 0, 0);
      pen.clearRect(0, 0, canvas.width, canvas.height);
      pen.setTransform(camera.dense, 0, 0, camera.dense, 0, 0);
      pen.globalAlpha = fade;
      const count = Math.min(data.items, MOST_ON_CANVAS); // the most frequent
      for (let i = count - 1; i >= 0; i--) {
        const [x, y] = camera.place(data.position[2 * i], data.position[2 * i + 1]);
        if (!colours[codes[i]] || x < 0 || y < 0 || x > camera.wide || y > camera.tall) continue;
        pen.fillStyle = colours[codes[i]];
        const radius = Math.max(0.7, (size * (0.55 + data.popularity[i])) / 2);
        pen.beginPath(); pen.arc(x, y, radius, 0, 7); pen.fill();
      }
      return count;
    },
    close() {},
  };
}
