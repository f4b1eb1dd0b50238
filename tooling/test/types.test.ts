/**
 * What the types promise: programs that have to compile do, and programs that must not do not, with the error that is meant. Patches 11 and 12
 * of the series, and the end of device_data in patch 14, are matters of types alone: nothing of them could be seen at run time.
 */
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Each program is a file of its own; all are checked at once, against the sources. */
const HEAD = `
import { Device, DriverData, VfioDevice, type MmapRequest, type Process, type Sleeps, type UserArgument, type Vfio } from '@vsim/vfio-core';
import { mdevFromDevice, MdevDevice, type MdevParent } from '@vsim/mdev';
import { VfioPciDevice } from '@vsim/vfio-pci';
declare const vfio: Vfio;
declare const device: Device;
declare const vfioDevice: VfioDevice;
declare const mdev: MdevDevice;
export class Own extends VfioDevice {
  readonly secret = 7;
  protected override *openDevice(): Sleeps<number> { return 0; }
  protected override *closeDevice(): Sleeps<void> {}
  BODY
}
export class Foreign { readonly theirs = 'state of another driver'; }
export const all = [vfio, device, vfioDevice, mdev, Device, DriverData, VfioDevice, MdevDevice, mdevFromDevice, VfioPciDevice];
export type All = [MmapRequest, Process, UserArgument, MdevParent];
`;

/** What stands behind the head, and what of it stands in the class Own. */
interface Program {
  readonly text?: string;
  readonly body?: string;
}

const RIGHT = {
  'an operation reads its own state, without a cast': { body: 'override read(): number { return this.secret; }' },
  'a device is converted whatever the variable is called': { text: 'export const a = (whatever: Device) => mdevFromDevice(whatever)?.parent; export const b = mdevFromDevice(mdev);' },
  'what is found is looked at before it is used': { text: 'export const type = (d: Device) => { const found = mdevFromDevice(d); return found === undefined ? undefined : found.type; };' },
  'a downcast asks the object': { text: 'export const pci = (d: VfioDevice) => (d instanceof VfioPciDevice ? d.function : undefined);' },
  'a driver keeps its own type': { text: 'const data = new DriverData<Device, Own>(); export const secret = () => data.get(device)?.secret; data.set(device, new Own(vfio, device));' },
} satisfies Record<string, Program>;

/** With the error's number: 2345 argument, 2322 and 274x assignment, 2416 override, 2339 no such member, 2554 count of arguments, 18048 maybe undefined. */
const WRONG = {
  '[vfio P11/1] [vfio P11/2] a VFIO device is no device to convert': [2345, { text: 'mdevFromDevice(vfioDevice);' }],
  '[vfio P11/1] [vfio P11/2] nor is the address of a structure, a name, or nothing': [2345, { text: 'mdevFromDevice({}); mdevFromDevice("83b8"); mdevFromDevice(undefined);' }],
  '[vfio P11/1] [vfio P11/2] what is found may be nothing': [2532, { text: 'export const parent = mdevFromDevice(device).parent;' }],
  '[vfio P11/1] [vfio P11/2] a device is not the mdev that it may be': [[2322, 2739, 2740], { text: 'export const other: MdevDevice = device;' }],
  '[vfio P11/2] a parent makes devices of mdevs alone': [2345, { text: 'declare const parent: MdevParent; parent.createDevice(device);' }],
  '[vfio P12/1] open takes no void pointer beside the device': [2416, { text: 'export abstract class Old extends VfioDevice { protected override *openDevice(deviceData: unknown): Sleeps<number> { return Number(deviceData); } }' }],
  '[vfio P12/1] nor does close': [2416, { text: 'export abstract class Old extends VfioDevice { protected override *closeDevice(deviceData: Foreign): Sleeps<void> { deviceData.theirs.at(0); } }' }],
  '[vfio P12/1] read takes no void pointer before the bytes': [2416, { body: 'override read(deviceData: object, into: Uint8Array): number { return into.length + Number(deviceData); }' }],
  '[vfio P12/1] write takes no void pointer before the bytes': [2416, { body: 'override write(deviceData: object, from: Uint8Array): number { return from.length + Number(deviceData); }' }],
  '[vfio P12/1] ioctl takes no void pointer before the process': [2416, { body: 'override ioctl(deviceData: Foreign, request: number): number { return request + deviceData.theirs.length; }' }],
  '[vfio P12/1] mmap takes no void pointer before the process': [2416, { body: 'override mmap(deviceData: Foreign, request: MmapRequest): number { return request.length + deviceData.theirs.length; }' }],
  '[vfio P12/1] request takes no void pointer before the count': [2416, { body: 'override request(deviceData: Foreign): void { deviceData.theirs.at(0); }' }],
  '[vfio P12/1] match takes no void pointer before the name': [2416, { body: 'override match(deviceData: Foreign): number { return deviceData.theirs.length; }' }],
  '[vfio P12/1] an operation of another driver’s type is not to be had from this one': [2339, { body: 'override read(): number { return this.theirs; }' }],
  '[vfio P12/1] the core’s device is not a driver’s without a downcast': [[2322, 2739, 2740], { text: 'export const pci: VfioPciDevice = vfioDevice;' }],
  '[vfio P12/1] a driver’s device is not another driver’s': [[2322, 2739, 2740], { text: 'export const pci: VfioPciDevice = new Own(vfio, device);' }],
  '[vfio P12/1] a VFIO device has no untyped field for its driver': [2339, { text: 'export const data: unknown = vfioDevice.deviceData;' }],
  '[vfio P12/1] nor is it made with one': [2554, { text: 'new Own(vfio, device, new Foreign());' }],
  '[vfio P12/1] a driver’s data is of one type': [2345, { text: 'new DriverData<Device, Own>().set(device, new Foreign());' }],
} satisfies Record<string, readonly [number | readonly number[], Program]>;

/** The numbers of the errors in each program. */
function check(programs: readonly Program[]): readonly (readonly number[])[] {
  const files = new Map(programs.map(({ text = '', body = '' }, i) => [`${ROOT}tooling/test/type-program-${i}.ts`, `${HEAD.replace('BODY', body)}\n${text}`]));
  const base = ts.getParsedCommandLineOfConfigFile(`${ROOT}tsconfig.base.json`, {}, { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => undefined });
  const options: ts.CompilerOptions = { ...base?.options, noEmit: true, declaration: false, declarationMap: false, sourceMap: false, isolatedDeclarations: false, noUnusedLocals: false, noUnusedParameters: false };
  const disk = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (path) => files.has(path) || disk.fileExists(path),
    readFile: (path) => files.get(path) ?? disk.readFile(path),
    getSourceFile: (path, version) => {
      const text = files.get(path);
      return text === undefined ? disk.getSourceFile(path, version) : ts.createSourceFile(path, text, version, true);
    },
  };
  const paths = Object.fromEntries(['vfio-core', 'mdev', 'vfio-pci'].map((name) => [`@vsim/${name}`, [`${ROOT}packages/${name}/src/index.ts`]]));
  const program = ts.createProgram([...files.keys()], { ...options, paths }, host);
  return [...files.keys()].map((path) => {
    const file = program.getSourceFile(path);
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(({ code }) => code);
  });
}

describe('types', () => {
  const right = Object.entries(RIGHT);
  const wrong = Object.entries(WRONG);
  const found = check([...right.map(([, program]) => program), ...wrong.map(([, [, program]]) => program)]);

  it.each(right.map(([name], i) => [name, i] as const))('let a program compile: %s', (_, i) => {
    expect(found[i]).toEqual([]);
  });

  it.each(wrong.map(([name, [code]], i) => [name, code, i + right.length] as const))('refuse a program: %s', (_, code, i) => {
    const codes = [...new Set(found[i])];
    expect(codes).toHaveLength(1);
    expect([code].flat()).toContain(codes[0]);
  });
});
