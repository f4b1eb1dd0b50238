/** Why mediated devices are refused, and what the samples refuse. */
import { EACCES, EAGAIN, EBADF, EEXIST, EINVAL, ENODEV, ENOENT, ENOMEM, ENOSPC, ENOTTY, ESPIPE, EUSERS, reason, type Reason } from '@vsim/vfio-core';

const CREATE = 'sysfs mdev_supported_types/TYPE/create';

/** -EINVAL of sysfs mdev_supported_types/TYPE/create. The rule: what is written is a UUID of 36 characters, and at most a newline. */
export const BAD_UUID: Reason<{ readonly text: string }> = reason({
  id: 'mdev/bad-uuid',
  errno: EINVAL,
  call: CREATE,
  rule: 'what is written is a UUID of 36 characters, and at most a newline',
  kernel: 'create_store(): guid_parse()',
  wayOut: 'write what uuidgen gives',
  text: ({ text }) => `${JSON.stringify(text)} is no UUID`,
});

/** -EEXIST of sysfs mdev_supported_types/TYPE/create. The rule: no device of the host has the UUID. */
export const UUID_TAKEN: Reason<{ readonly uuid: string; readonly parent: string }> = reason({
  id: 'mdev/uuid-taken',
  errno: EEXIST,
  call: CREATE,
  rule: 'no device of the host has the UUID',
  kernel: 'mdev_device_create()',
  wayOut: 'take another UUID, or remove the device',
  text: ({ uuid, parent }) => `${uuid} is a device of ${parent}`,
});

/** -EUSERS, -ENOSPC or -ENOMEM of sysfs mdev_supported_types/TYPE/create. The rule: available_instances of the type is above 0. */
export const EXHAUSTED: Reason<{ readonly type: string; readonly left: number; readonly users: readonly string[] }> = reason({
  id: 'mdev/exhausted',
  errno: [EUSERS, ENOSPC, ENOMEM],
  call: CREATE,
  rule: 'available_instances of the type is above 0',
  kernel: 'mdev_device_create(), create() or probe() of the parent',
  wayOut: 'remove a device of the parent first',
  text: ({ type, left, users }) => `${type}: ${left} left; in use: ${users.join(', ')}`,
});

/** -ENODEV of sysfs mdev_supported_types/TYPE/create and remove. The rule: the parent is registered. */
export const PARENT_LEAVES: Reason<{ readonly parent: string }> = reason({
  id: 'mdev/parent-leaves',
  errno: ENODEV,
  call: `${CREATE}, sysfs remove`,
  rule: 'the parent is registered',
  kernel: 'mdev_device_create(), mdev_device_remove(): unreg_sem',
  wayOut: 'load the driver of the parent again',
  text: ({ parent }) => `${parent} is being unregistered`,
});

/** -ENODEV or -EAGAIN of sysfs remove. The rule: the device is there, and its creation has ended. */
export const REMOVED_TWICE: Reason<{ readonly uuid: string; readonly state: 'being made' | 'gone' }> = reason({
  id: 'mdev/removed-twice',
  errno: [ENODEV, EAGAIN],
  call: 'sysfs remove',
  rule: 'the device is there, and its creation has ended',
  kernel: 'mdev_device_remove()',
  wayOut: 'wait until create has returned; one removal is enough',
  text: ({ uuid, state }) => `${uuid} is ${state}`,
});

/** -ENODEV or -EINVAL of sysfs bind. The rule: a mediated device has one instance of its parent. */
export const NO_INSTANCE: Reason<{ readonly uuid: string }> = reason({
  id: 'mdev/no-instance',
  errno: [ENODEV, EINVAL],
  call: 'sysfs bind',
  rule: 'a mediated device has one instance of its parent',
  kernel: 'mdev_probe()',
  wayOut: 'remove the device and create it again',
  text: ({ uuid }) => `${uuid} has no instance, or has one already`,
});

/** -EINVAL, -EEXIST or -ENOMEM of modprobe of the driver of a parent. The rule: a parent has types, and is registered once. */
export const PARENT_REFUSED: Reason<{ readonly parent: string; readonly types: number }> = reason({
  id: 'mdev/parent-refused',
  errno: [EINVAL, EEXIST, ENOMEM],
  call: 'modprobe of the driver of a parent',
  rule: 'a parent has types, and is registered once',
  kernel: 'mdev_register_device(), mdev_register_parent()',
  wayOut: 'unregister it first',
  text: ({ parent, types }) => `${parent} has ${types} types, or is registered`,
});

/**
 * -ENOTTY or -EINVAL of VFIO_DEVICE_SET_IRQS. The rule: mtty has INTx and MSI, one of them at a time, each with one interrupt; only INTx is
 * masked; mdpy and mbochs have none.
 */
export const SAMPLE_IRQ: Reason<{ readonly index: number; readonly action: number; readonly active: number | undefined }> = reason({
  id: 'mdev/sample-irq',
  errno: [ENOTTY, EINVAL],
  call: 'VFIO_DEVICE_SET_IRQS',
  rule: 'mtty has INTx and MSI, one of them at a time, each with one interrupt; only INTx is masked; mdpy and mbochs have none',
  kernel: 'mtty_set_irqs()',
  wayOut: 'give the index an eventfd by DATA_EVENTFD and ACTION_TRIGGER first',
  text: ({ index, action, active }) => `action ${action} on index ${index}, and ${active === undefined ? 'none' : `index ${active}`} is set up`,
});

/**
 * -EINVAL, -ENOENT or -ENOMEM of VFIO_DEVICE_QUERY_GFX_PLANE, VFIO_DEVICE_GET_GFX_DMABUF. The rule: flags name the one way that the device
 * has; an id is one that QUERY_GFX_PLANE gave; mbochs answers the first question for a mode with ENOMEM.
 */
export const PLANE: Reason<{ readonly what: string }> = reason({
  id: 'mdev/plane',
  errno: [EINVAL, ENOENT, ENOMEM],
  call: 'VFIO_DEVICE_QUERY_GFX_PLANE, VFIO_DEVICE_GET_GFX_DMABUF',
  rule: 'flags name the one way that the device has; an id is one that QUERY_GFX_PLANE gave; mbochs answers the first question for a mode with ENOMEM',
  kernel: 'mdpy_query_gfx_plane(), mbochs_query_gfx_plane(), mbochs_get_gfx_dmabuf()',
  wayOut: 'ask with PROBE first; ask again',
  text: ({ what }) => what,
});

/**
 * -EINVAL, -EACCES, -EBADF or -ESPIPE of mmap, read, write, pread, pwrite, lseek, DMA_BUF_IOCTL_SYNC on a dmabuf of mbochs. The rule:
 * nobody maps, reads or writes it, as its fd is for reading and the sample shares it with writers only; lseek goes to its ends; SYNC says
 * read, write or both.
 */
export const DMA_BUF: Reason<{ readonly operation: string }> = reason({
  id: 'mdev/dma-buf',
  errno: [EINVAL, EACCES, EBADF, ESPIPE],
  call: 'mmap, read, write, pread, pwrite, lseek, DMA_BUF_IOCTL_SYNC on a dmabuf of mbochs',
  rule: 'nobody maps, reads or writes it, as its fd is for reading and the sample shares it with writers only; lseek goes to its ends; SYNC says read, write or both',
  kernel: 'dma_buf_fops, mbochs_mmap_dmabuf()',
  wayOut: 'map BAR 0 of the device; a dmabuf is for importers',
  text: ({ operation }) => `a dmabuf of mbochs has no ${operation} of this kind`,
});
