/**
 * The two globals outside the language that the packages may use: the same in every browser and in
 * Node, and a function of their input. Read by the builds, which have neither DOM nor Node types.
 */
declare class TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>;
}

declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(input?: ArrayBufferView | ArrayBufferLike): string;
}
