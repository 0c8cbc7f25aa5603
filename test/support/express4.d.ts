declare module 'express4' {
  export default function express4(): unknown;
}
