/** The parts of `.ci/run`, in order. */
export declare const PARTS: readonly { readonly name: string }[];
