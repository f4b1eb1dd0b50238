/** Where the picture is. */
export declare const PICTURE: string;
/** Of the run that it shows. */
export declare const SEED: number;
/** The picture of a report of runDemo(), as SVG. */
export declare function timeline(report: object): string;
