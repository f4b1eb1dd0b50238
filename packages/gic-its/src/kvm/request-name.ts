/** What a request of KVM is called, for messages. */
import { KVM_REQUESTS } from './uapi.ts';

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(KVM_REQUESTS).map(([name, request]) => [request, name]));

export function kvmRequestName(request: number): string | undefined {
  return NAMES.get(request);
}
