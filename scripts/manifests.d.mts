/** A package that is published. */
export interface Published {
  readonly dir: string;
  readonly name: string;
  readonly manifest: { readonly keywords?: readonly string[]; readonly scripts?: Readonly<Record<string, string>> };
}
export declare function published(): readonly Published[];
export declare function differing(): readonly (readonly [path: string, text: string])[];
