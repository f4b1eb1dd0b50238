/** Commands, with the prompts that were pasted before them, and lines of scripts. */

const PROGRAMS = 'lspci|setpci|dmesg|journalctl|find|ls|cat|tree|grep|egrep|zgrep|rg|virsh|pvesh|uname|readlink|lscpu|lsmod|modprobe|lsiommu|ls-iommu|ssh|bash|sh|for|if|echo|printf|shopt|head|tail|less|cd|qm|systemctl|lsusb|lshw|driverctl|dmidecode|hwinfo|inxi|vim?|nano|cp|exit|clear|update-grub|reboot|kvm|qemu-system-x86_64|while|awk|sed|su|sudo|watch|wsl';
/** A prompt that names its user or its folder, or one sign alone. */
const PROMPT = /^(?:\([^()\n]{1,30}\) ?)?(?:\[?[\w.-]{1,40}@[\w.-]{1,60}[^#$%>❯\n]{0,60}[#$%>❯]|(?:PS |[A-Z]:\\)[^>\n]{0,60}>|(?:bash|sh)-[\d.]{1,8}[#$]|➜ +[^\s]{1,60}(?: git:\([^\s)]{1,60}\))?(?: [✗✔])? +|[╰└]─+[^\sa-z]{0,3} ?|[#$%>❯➜λ]|[~/][\w./-]{0,40} ?[#$%>❯]) ?(.*)$/su;
const WITH_USER = /^(?:\([^()\n]{1,30}\) ?)?\[?[\w.-]{1,40}@[\w.-]{1,60}[^#$%>❯\n]{0,60}[#$%>❯]/u;
const KNOWN = new RegExp(`^(?:(?:sudo|doas|time|env|LC_ALL=C|LANG=C) +(?:-\\S+ +)*)*(?:\\S*/)?(?:${PROGRAMS})(?:\\.sh|\\.py)?(?=[\\s|;&<>]|$)`);
/** What is a command even without a prompt: the program, and what no sentence goes on with. */
const BARE = /^(?:(?:sudo|doas) +(?:-\S+ +)*)?(?:(?:\/\S{0,40}\/)?(?:lspci|lsiommu|ls-iommu)(?:$|\s+(?:-|\||>|2>))|(?:dmesg|journalctl)(?:$|\s+(?:-|\|))|(?:find|ls|cat|tree|readlink|grep) (?:-\S+ |"[^"\n]{0,80}" |'[^'\n]{0,80}' |\S+ ){0,4}\/(?:sys|proc|etc|var|boot)\b|uname -|virsh nodedev|pvesh get|for \w+ in |(?:\.\/|\/)?[\w./-]{0,60}iommu[\w.-]{0,20}\.sh\b|lspci\s*$)/;
/** Lines of a script that follow its first one. */
const SCRIPT = /^(?:#!|shopt |do$|do |done\b|then$|fi\b|else$|esac\b|echo -?[en"'$]|echo "|printf |local |for \w+ in |while |if \[|n=\$|[a-z_]{1,20}=[$"'(]|\}$|\{$|exit \d)|^lspci -\S+ "?\$|\\$/;

/**
 * The command of a line that has a prompt, or is one without; empty: a prompt without a command; undefined: it is none.
 *
 * @param text without blanks at both ends
 */
export function commandOf(text: string): string | undefined {
  if (BARE.test(text)) return text;
  const prompt = PROMPT.exec(text);
  if (prompt === null) return undefined;
  const command = prompt[1]!.trim();
  if (KNOWN.test(command) || BARE.test(command)) return command;
  return command === '' || WITH_USER.test(text) ? command : undefined;
}

/** Whether a prompt with its user stands before the command. */
export function isPrompted(text: string): boolean {
  return WITH_USER.test(text);
}

/** Whether a command prints the drivers of all devices: `lspci -k`, and `-v` where it prints for people. */
export function commandShowsDrivers(command: string): boolean {
  const options = [...(/\blspci\b([^|;&]*)/.exec(command)?.[1] ?? '').matchAll(/\s-([A-Za-z]+)/g)].map(([, letters]) => letters!).join('');
  return options.includes('k') || (options.includes('v') && !/[mt]/.test(options));
}

/** Whether the line belongs to a shell's script, which says nothing of a machine. */
export function isScript(text: string): boolean {
  return SCRIPT.test(text);
}
