import type { AcsFacts, ResetFacts, SriovFacts } from '@vsim/vfio-pci';
import type { PastedDevice } from '../read/paste.ts';
import type { Fact } from './fact.ts';

/** What is known of one PCI function, fact by fact. */
export interface DeviceKnowledge {
  /** `domain:bus:device.function`, lower case. */
  readonly address: string;
  /** What was pasted of it. */
  readonly pasted: PastedDevice;
  /** Vendor ID, 16 bits. */
  readonly vendor: Fact<number>;
  /** Device ID, 16 bits. */
  readonly device: Fact<number>;
  /** Base class and subclass, 16 bits. */
  readonly classCode: Fact<number>;
  /** Its registers can be read: false of one that fell off the bus and reads as ones. */
  readonly answers: Fact<boolean>;
  /** Its header is not of type 0. */
  readonly isBridge: Fact<boolean>;
  /** Device/Port Type of the PCI Express capability, 4 bits; undefined: conventional PCI. */
  readonly expressType: Fact<number | undefined>;
  /** Its ACS capability; undefined: it has none. */
  readonly acs: Fact<AcsFacts | undefined>;
  /** Number of the bus below, 1 to 255; undefined: it leads nowhere. */
  readonly secondaryBus: Fact<number | undefined>;
  /** Its enabled VFs; undefined: there are none. */
  readonly sriov: Fact<SriovFacts | undefined>;
  /** The PF of a virtual function; undefined: it is none. */
  readonly physfn: Fact<string | undefined>;
  /** Its slot has several functions by its header. */
  readonly multifunction: Fact<boolean>;
  /** Its driver; undefined: it has none. */
  readonly driver: Fact<string | undefined>;
  /** Number of its group in the running kernel; unknown where nobody told it. */
  readonly group: Fact<number>;
  /** What its capabilities say of resets, each undefined where the text does not show it. */
  readonly resets: ResetFacts;
}
