/** Why the fsl-mc bus, its commands for user space and vfio-fsl-mc refuse. */
import {
  EACCES,
  EBUSY,
  EINVAL,
  EIO,
  ENAVAIL,
  ENODEV,
  ENOMEM,
  ENOSPC,
  ENOTSUPP,
  ENOTTY,
  ENXIO,
  EPERM,
  ETIMEDOUT,
  errnoName,
  hex,
  reason,
  type Reason,
} from '@vsim/vfio-core';

interface OfDevice {
  readonly device: string;
}

const BIND = 'sysfs bind';

/** The MC answered a command with an error, or not in time: the errno is what mc_status_to_error() makes of the status. */
export const MC_ERROR: Reason<{ readonly object: string; readonly what: string; readonly error: number }> = reason({
  id: 'fsl-mc/mc-error',
  errno: [EIO, ETIMEDOUT, EACCES, EPERM, ENXIO, ENAVAIL, ENOMEM, EBUSY, ENOTSUPP, ENODEV, EINVAL],
  call: `VFIO_DEVICE_RESET, pwrite of a region, FSL_MC_SEND_MC_COMMAND, ${BIND}`,
  rule: 'the Management Complex answers the command in time, with status OK',
  kernel: 'mc_send_command()',
  wayOut: 'see with the commands of the object whether it is there, and open by nobody else',
  text: ({ object, what, error }) => `the MC answers ${what} of ${object} with ${errnoName(-error)}`,
});

/** FSL_MC_SEND_MC_COMMAND refused a command before the MC saw it: -EPERM without CAP_NET_ADMIN, else -EACCES. */
export const COMMAND_REFUSED: Reason<{ readonly command: number; readonly why: 'unknown' | 'too long' | 'token' | 'module' | 'rights' }> = reason({
  id: 'fsl-mc/command-refused',
  errno: [EACCES, EPERM],
  call: 'FSL_MC_SEND_MC_COMMAND',
  rule: 'a command is one that the kernel lets user space send, no longer than it is, with a token where it has one; what changes something needs CAP_NET_ADMIN',
  kernel: 'fsl_mc_command_check()',
  wayOut: 'send the commands that restool sends, as root',
  text: ({ command, why }) => `command ${hex(command)}: ${why}`,
});

/** A further opener of `/dev/dprc.N` finds no dpmcp that is free: -ENXIO, or -EBUSY where its portal's memory is taken. */
export const NO_PORTAL: Reason<{ readonly dprc: string; readonly lent: number; readonly all: number }> = reason({
  id: 'fsl-mc/no-portal',
  errno: [ENXIO, EBUSY],
  call: 'open of /dev/dprc.N',
  rule: 'each further opener has a dpmcp of the root container to itself',
  kernel: 'fsl_mc_portal_allocate()',
  wayOut: 'close one, or give the root container another dpmcp',
  text: ({ dprc, lent, all }) => `${lent} of the ${all} dpmcp of ${dprc} are lent`,
});

/** A container cannot be set up, and the bind fails: -EINVAL, -EBUSY for its portal, -ENOTSUPP for an MC before version 6. */
export const CONTAINER_SET_UP: Reason<OfDevice & { readonly why: string }> = reason({
  id: 'fsl-mc/container-set-up',
  errno: [EINVAL, EBUSY, ENOTSUPP],
  call: BIND,
  rule: 'a container has a portal that nobody uses, is set up once, and its MC has version 6 or later',
  kernel: 'dprc_setup()',
  wayOut: 'bind a dprc, to one driver at a time, on a newer MC',
  text: ({ device, why }) => `${device}: ${why}`,
});

/** fsl_mc_allocator does not take an object: -EINVAL, there is no pool for its type. */
export const NOT_ALLOCATABLE: Reason<OfDevice & { readonly type: string }> = reason({
  id: 'fsl-mc/not-allocatable',
  errno: EINVAL,
  call: BIND,
  rule: 'fsl_mc_allocator takes dpmcp, dpbp and dpcon, in a container that the kernel has set up',
  kernel: 'fsl_mc_allocator_probe()',
  wayOut: 'bind the object to the driver of its type',
  text: ({ device, type }) => `${device} is a ${type}, for which there is no pool`,
});

/** The container of an object is not bound to vfio-fsl-mc: -ENODEV at the bind (5.13), -EINVAL at a reset. */
export const CONTAINER_NOT_BOUND: Reason<OfDevice & { readonly container: string }> = reason({
  id: 'vfio-fsl-mc/container-not-bound',
  errno: [ENODEV, EINVAL],
  call: `${BIND}, VFIO_DEVICE_RESET`,
  rule: 'the container of an object is bound to vfio-fsl-mc before the object is',
  kernel: 'vfio_fsl_mc_reflck_attach()',
  wayOut: 'bind the dprc to vfio-fsl-mc: its objects follow',
  text: ({ device, container }) => `${container}, which has ${device}, is not set up by vfio-fsl-mc`,
});

/** VFIO_DEVICE_RESET of an object that is no container is -ENOTTY before 6.1. */
export const OBJECT_NO_RESET: Reason<OfDevice> = reason({
  id: 'vfio-fsl-mc/no-reset',
  errno: ENOTTY,
  call: 'VFIO_DEVICE_RESET',
  rule: 'the device is a container, or the kernel resets objects one by one',
  kernel: 'vfio_fsl_mc_ioctl()',
  wayOut: 'reset the container: the flags of VFIO_DEVICE_GET_INFO say which device has RESET',
  text: ({ device }) => `this kernel does not reset ${device}, which is no container`,
});

/**
 * SET_IRQS finds not enough interrupts in the container's pool: -EINVAL without MSI domain, -ENOSPC, or -ENODEV for a domain that is left
 * over (7.3).
 */
export const NO_IRQS: Reason<OfDevice & { readonly wanted: number; readonly free: number | undefined }> = reason({
  id: 'vfio-fsl-mc/no-irqs',
  errno: [EINVAL, ENOSPC, ENODEV],
  call: 'VFIO_DEVICE_SET_IRQS',
  rule: 'the container has an MSI domain, which has 256 interrupts for it, and as many are free as the object has',
  kernel: 'vfio_fsl_mc_irqs_allocate()',
  wayOut: 'close other devices of the container',
  text: ({ device, wanted, free }) => `${device} has ${wanted} interrupts, and ${free === undefined ? 'its container has no MSI domain' : `${free} are free`}`,
});
