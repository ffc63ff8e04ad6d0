// @ts-check
// The two programs of the cloud viewer: points, and the eye-dome shading that darkens what is behind an edge.
// Source: Boucheny, "Interactive Scientific Visualization of Large Datasets", 2009 (eye-dome lighting).

export const WHOLE = 3; // one triangle that covers the screen

export const POINTS = [
  `#version 300 es
  in vec3 place; in vec4 paint;
  uniform mat4 view; uniform float step; uniform float size; uniform vec2 heights; uniform int mode;
  out vec3 tint;
  // cividis, cut at its light part: ordered for every eye
  vec3 ramp(float t) {
    vec3 low = vec3(0.20, 0.30, 0.55), middle = vec3(0.49, 0.48, 0.47), high = vec3(0.99, 0.91, 0.22);
    return t < 0.5 ? mix(low, middle, t * 2.0) : mix(middle, high, t * 2.0 - 1.0);
  }
  void main() {
    gl_Position = view * vec4(place * step, 1.0);
    gl_PointSize = clamp(size / gl_Position.w, 1.5, 9.0);
    float level = clamp((place.z - heights.x) / (heights.y - heights.x), 0.0, 1.0);
    tint = mode == 0 ? paint.rgb : mode == 1 ? ramp(level) : vec3(paint.a * 0.9 + 0.08);
  }`,
  `#version 300 es
  precision mediump float;
  in vec3 tint; out vec4 colour;
  void main() { colour = vec4(tint, 1.0); }`,
];

export const EDGES = [
  `#version 300 es
  void main() { gl_Position = vec4(vec2[3](vec2(-1, -1), vec2(3, -1), vec2(-1, 3))[gl_VertexID], 0, 1); }`,
  `#version 300 es
  precision highp float; precision highp sampler2D;
  uniform sampler2D colours; uniform sampler2D depths; uniform vec2 range;
  out vec4 colour;
  float far(ivec2 at) {
    float d = texelFetch(depths, clamp(at, ivec2(0), textureSize(depths, 0) - 1), 0).r;
    return d == 1.0 ? 0.0 : log2(range.x * range.y / (range.y - d * (range.y - range.x)));
  }
  void main() {
    ivec2 at = ivec2(gl_FragCoord.xy);
    vec4 own = texelFetch(colours, at, 0);
    float here = far(at), darker = 0.0;
    if (here != 0.0) {
      const ivec2 around[4] = ivec2[4](ivec2(2, 0), ivec2(-2, 0), ivec2(0, 2), ivec2(0, -2));
      for (int i = 0; i < 4; i++) { float there = far(at + around[i]); darker += there == 0.0 ? 0.0 : max(0.0, here - there); }
    }
    colour = vec4(own.rgb * exp(-18.0 * darker / 4.0), 1.0);
  }`,
];

/** A linked program and where its uniforms are. @param {WebGL2RenderingContext} gl @param {string[]} sources vertex, fragment */
export function program(gl, [vertex, fragment]) {
  const made = gl.createProgram();
  for (const [type, source] of /** @type {const} */ ([
    [gl.VERTEX_SHADER, vertex],
    [gl.FRAGMENT_SHADER, fragment],
  ])) {
    const shader = /** @type {WebGLShader} */ (gl.createShader(type));
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.bindAttribLocation(made, 0, "place");
  gl.bindAttribLocation(made, 1, "paint");
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made) ?? "the program did not link");
  return { made, at: (/** @type {string} */ name) => gl.getUniformLocation(made, name) };
}
