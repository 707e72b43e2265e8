"""Questions about the machine that need no name: one command, one line of output, copied into the answer."""
import dataclasses

from .task import TASKS, Instance, Step, Task

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
PROCESSES = ("bash sh ps head systemd init sshd cron python3 llama-server lm-sandbox nginx sleep lm-sandbox-guest dbus-daemon perl "
             "node postgres cat tail").split()


@dataclasses.dataclass
class Fact:
    """`{0}`, `{1}` ... in `answer` are the words of the output, `{}` all of it. `nouns` serve requests for two facts."""

    name: str
    command: str
    answer: str
    output: callable
    templates: str
    nouns: str = ""
    weight: float = 1.0
    may_lack: bool = False  # the command is not installed everywhere
    instead: str = ""  # what to run then; nothing: the answer says so
    instead_answer: str = ""
    instead_output: callable = None


def fill(answer, output):
    return answer.format(*output.split(), **{"all": output}) if "{0}" in answer else answer.format(output)


def values(answer, output):
    return output.split() if "{0}" in answer else [output]


def memory(n):
    size = lambda: (str(n.number(3)) if n.chance(0.5) else f"{n.number(1)}.{n.number(1)}") + n.pick(["Gi", "Gi", "Mi"])
    return " ".join(size() for _ in range(3))


def cpu(n):
    return n.pick([
        lambda: "AMD EPYC", lambda: f"AMD EPYC {n.number(4)} {n.number(2)}-Core Processor", lambda: f"AMD Ryzen {n.number(1)} {n.number(4)}X",
        lambda: f"Intel(R) Xeon(R) CPU @ {n.number(1)}.{n.number(1)}0GHz", lambda: f"Intel(R) Core(TM) i{n.number(1)}-{n.number(5)}K CPU",
        lambda: f"QEMU Virtual CPU version {n.number(1)}.{n.number(1)}", lambda: f"{n.stem().capitalize()} {n.stem()} {n.number(4)}",
        lambda: f"Intel(R) Xeon(R) Platinum {n.number(4)}C", lambda: f"{n.stem()} {n.stem()} CPU {n.number(4)}",
    ])()


def kernel(n):
    tail = ["", "-amd64", "-generic", f"-{n.number(2)}-amd64", f"-{n.number(3)}-generic", "-microsoft-standard-WSL2", "+", "-cloud-amd64",
            "-" + n.stem(), f"-{n.stem()}-{n.number(2)}"]
    return f"{n.pick('23456789')}.{n.number(2)}.{n.number(3)}{n.pick(tail)}"


def system(n):
    return n.pick([
        lambda: f"Debian GNU/Linux {n.number(2)} ({n.pick(['bookworm', 'trixie', 'bullseye', n.word()])})", lambda: "Debian GNU/Linux forky/sid",
        lambda: f"Ubuntu {n.number(2)}.0{n.number(1)} LTS", lambda: f"Alpine Linux v{n.number(1)}.{n.number(2)}",
        lambda: f"Fedora Linux {n.number(2)}", lambda: f"{n.stem().capitalize()} Linux {n.number(2)}",
        lambda: f"Debian GNU/Linux {n.word()}/sid", lambda: f"{n.stem()} GNU/Linux {n.number(2)} ({n.word()})",
    ])()


def clock(n):
    return f"{n.rng.randrange(24):02d}:{n.rng.randrange(60):02d}"


def day(n):
    return f"{n.pick(DAYS)} {n.rng.randint(1, 31):02d} {n.pick(MONTHS)} {n.rng.randint(2015, 2039)}"


def uptime(n):
    hours, minutes = f"{n.rng.randint(2, 23)} hours", f"{n.rng.randint(2, 59)} minutes"
    return "up " + n.pick([minutes, f"{hours}, {minutes}", f"1 hour, {minutes}", f"{n.number(3)} days, {hours}, {minutes}",
                           f"{n.rng.randint(1, 9)} weeks, {n.rng.randint(2, 6)} days, {hours}, {minutes}"])


def processes(n):
    return ",".join(n.several(lambda: n.pick(PROCESSES) if n.chance(0.5) else n.stem(), 2, 5))


def host(n):
    return n.stem() if n.chance(0.6) else "".join(n.rng.choices("0123456789abcdef", k=12)) if n.chance(0.5) else f"{n.stem()}-{n.stem()}"


def python(n):
    return f"Python 3.{n.rng.randint(4, 20)}.{n.number(2)}" + n.pick(["", "", "+", "rc1"])


FACTS = [
    Fact("disk", "df -h --output=size,used,avail / | tail -n 1", "The disk has {0} in total, {1} used and {2} free.",
         lambda n: f"{n.size()} {n.size()} {n.size()}", """
Q how much [disk|disk|hard disk|storage|drive] [space|capacity] is [left|free|available|used|in use|remaining]@here
Q how much [free|available|unused|] [disk space|disk|storage|space on the disk|hard drive space] [do I have|is there|is left|do we have|remains|is available]@here
W [the|my|] [disk usage|disk space|free disk space|available disk space|free space on the disk|disk use|storage usage|remaining disk space|disk capacity]@here
W how much [disk space|storage|space on the disk|space|room on the disk] is [left|free|available|used|still free]@here
W how full [the|my] [disk|drive|hard disk|file system] is
I [check|look at|inspect|examine|measure] [the|my|] [disk|disk space|disk usage|free disk space|storage|free space]@here
Q how full is [the|my|our] [disk|drive|hard drive|hard disk|file system|root file system|storage]
Q is [the|my|our] [disk|drive|hard disk|storage] [full|almost full|nearly full|getting full]
Q is there [enough|any|still|much|some] [disk space|space|room|free space] [left|available|free|] on [the disk|the drive|disk]
Q what is [the|my] [disk usage|disk space|disk size|free disk space|size of the disk|capacity of the disk]@here
Q how [big|large] is [the|my] [disk|drive|hard disk|root file system|storage]@here
Q do [I|we] [still|] have [enough|any|some|] [disk space|free space|free disk space|storage|room on the disk] [left|]
I see how much [disk space|storage|space] [is left|is free|we have|there is|the disk has left]
I [run|use] df
Q am I running out of [disk space|disk|storage|space]
K [disk|disk space|disk usage|free disk space|df|df -h|storage|space left on disk|free space|hard disk space]
""", "the disk space|the disk usage|the free disk space|disk space|how much disk space is left", 1.2),
    Fact("memory", "free -h | awk '/Mem/ {print $2, $3, $7}'", "The machine has {0} of memory, {1} used and {2} available.", memory, """
Q how much [memory|RAM|ram|main memory] is [free|used|available|left|installed|there|in use|being used|unused]@here
Q how much [memory|RAM|ram|free memory|available memory|free RAM] [do I have|does @machine have|do we have|is there|is left]
W [the|] [memory usage|free memory|available memory|amount of RAM|RAM usage|memory|total memory|amount of memory|memory consumption|free RAM|memory use]@here
W how much [memory|RAM|ram] [is free|is used|is available|is left|there is|we have|@machine has|is installed]
I [check|look at|inspect|examine|measure] [the|] [memory|RAM|memory usage|free memory|RAM usage|available memory]@here
Q what is the [memory usage|amount of memory|total memory|size of the memory|RAM size|available memory|memory size]@here
Q is there [enough|any|still|] [memory|RAM|free memory] [left|available|free|]
Q how many [gigabytes|megabytes|GB] of [RAM|memory|ram] [are there|do I have|does @machine have|are free|are left|are installed]
Q are we [low on|running out of|short of] [memory|RAM|ram]
Q how [big|large] is the [memory|RAM|ram|main memory]@here
Q do [we|I] have [enough|much|any free|] [memory|RAM|ram] [left|]
I see how much [memory|RAM|ram] [is left|is free|is in use|we have|is available|@machine has]
I [run|use] free
K [memory|RAM|ram|memory usage|free memory|free -h|memory info|total memory|available memory|ram usage]
""", "the memory|the free memory|the memory usage|memory|how much memory is free", 1.2,
         True, "awk '/MemTotal|MemAvailable/ {print int($2 / 1024)}' /proc/meminfo | paste -sd ' '",
         "The machine has {0} MB of memory, {1} MB of it available.", lambda n: f"{n.number(6)} {n.number(6)}"),
    Fact("cores", "nproc", "This machine has {} CPU cores.", lambda n: str(n.rng.randint(2, 256)), """
Q how many [CPUs|CPU cores|cores|processors|cpus|cpu cores|processor cores|cores of CPU] [are there|do I have|does @machine have|are available|do we have|can I use|are in @machine]
Q how many [CPUs|cores|processors|CPU cores|processor cores] has @machine [|got]
W [the number of|the count of] [CPUs|CPU cores|cores|processors|available cores|processor cores]@here
W how many [CPUs|cores|CPU cores|processors|processor cores|cpu cores] [there are|@machine has|are available|we have|I have|I can use]
I @count [the|all|] [CPUs|CPU cores|cores|processors|processor cores|available CPUs]@here
Q what is the [CPU count|number of cores|number of CPUs|core count|number of processors|number of CPU cores|number of processor cores]@here
Q is @machine [multicore|single core|dual core|quad core]
I [check|find out|determine|see] how many [cores|CPUs|processors|CPU cores|processor cores] [there are|we have|@machine has|I can use|are usable]
Q do we have more than one [CPU|core|processor|cpu core]
I [run|use] nproc
K [cores|CPU cores|nproc|core count|cpu count|number of cores|number of CPUs|processor count]
""", "the number of cores|the number of CPUs|the CPU count|how many cores there are"),
    Fact("cpu", "grep -m 1 'model name' /proc/cpuinfo | cut -d: -f 2", "The CPU is {}.", cpu, """
Q [what|which] [CPU|cpu|processor] [is this|does @machine have|do I have|is in @machine|is used|is installed|runs here|do we have|is it]
Q [what|which] [CPU|processor|cpu] model [is this|does @machine have|is in @machine|is installed|do we have|runs here]
Q [what|which] [kind|type|sort|model|brand] of [CPU|processor|cpu] [is this|do I have|does @machine have|is in @machine|do we have|is installed|is it]
W [the|] [CPU model|processor model|name of the CPU|CPU name|CPU type|model of the CPU|processor name|type of CPU|cpu info|model of the processor|CPU]@here
W [what|which] [CPU|processor] [this is|@machine has|we have|is installed|it is]
W what [kind|type|model] of [CPU|processor] [this is|@machine has|we have]
Q what is the [CPU model|name of the processor|processor|CPU|name of the CPU|model of the processor|processor type|cpu]@here
I identify the [CPU|processor|CPU model|cpu]@here
I [check|look up|read|get|find out] the [CPU model|processor model|model of the CPU|CPU name|processor name|CPU type]@here
Q who [made|makes] the [CPU|processor]@here
K [CPU|cpu|CPU model|processor|processor model|cpu info|cpu name|what cpu|processor name]
""", "the CPU model|the processor|the CPU|which CPU it has"),
    Fact("load", "cut -d ' ' -f 1-3 /proc/loadavg", "The load average is {}.",
         lambda n: " ".join(f"{n.number(n.pick([1, 1, 2]))}.{n.rng.randrange(100):02d}" for _ in range(3)), """
Q [what is|how high is|how is] the [load|system load|load average|CPU load|machine load|cpu usage|CPU usage|average load|processor load]@here
W the [load|load average|system load|CPU load|average load|CPU usage|cpu usage|current load]@here
Q how busy is [@machine|the CPU|the processor|the cpu]
W how busy [@machine|the CPU|the processor] is
Q is [@machine|the CPU|the processor|the cpu] [busy|overloaded|under load|idle]
I [check|look at|measure|see] [the|] [load|load average|CPU load|system load|cpu usage|CPU usage]@here
Q how loaded is [@machine|the CPU]
Q is there [a lot of|much|any|heavy] load@here
K [load|load average|system load|cpu load|CPU usage|loadavg|cpu usage]
""", "the load|the load average|the system load"),
    Fact("kernel", "uname -r", "The kernel version is {}.", kernel, """
Q [what|which] [kernel|Linux kernel|linux kernel] [|version|release] [is this|is running|am I running|do you have|does @machine run|are we on|is used|do we use|is in use|is installed|do we have]
W [the|] [kernel version|kernel|Linux kernel version|kernel release|version of the kernel|Linux kernel|release of the kernel|linux version|version of Linux]@here
W [what|which] [kernel|Linux kernel|kernel version] [is running|we run|@machine runs|we use|this is|is in use]
Q what is the [kernel version|Linux kernel version|version of the kernel|kernel|kernel release|release of the kernel|version of the Linux kernel]@here
I [check|look up|find out|get] the [kernel version|version of the kernel|kernel release|Linux kernel|kernel]@here
Q [what|which] version [of the kernel|of the Linux kernel|of linux|of Linux] [is this|is running|do we have|are we running|is installed|is in use]
Q [what|which] release of the [kernel|Linux kernel] [is this|is running|do we have|is that]
Q how [new|old|recent] is the kernel@here
I [run|use] uname
K [kernel|kernel version|uname|uname -r|which kernel|kernel release|version of the kernel|linux version|kernel release|linux kernel version]
""", "the kernel version|the kernel|the Linux kernel version|kernel version|the kernel release"),
    Fact("architecture", "uname -m", "The architecture is {}.", lambda n: n.pick(["x86_64", "x86_64", "aarch64", "armv7l", "riscv64", "i686", n.stem()]), """
Q [what|which] [architecture|CPU architecture|hardware architecture|machine architecture|processor architecture] [is this|does @machine have|do we have|is it|are we on|is used]
W the [architecture|CPU architecture|machine architecture|hardware architecture|processor architecture] [|of @machine|of the CPU]
Q is this [a 64-bit|a 32-bit|an x86|an ARM|an arm64|a RISC-V|an x86_64] [machine|system|CPU|computer|processor]
Q is @machine [64-bit|32-bit|x86|ARM|64 bit|32 bit|x86_64]
Q what is the [architecture|CPU architecture|machine architecture] [|of @machine|of the CPU|of this CPU]
I [check|find out|determine] the [architecture|CPU architecture|machine architecture]@here
Q how many bits does [the CPU|the processor|@machine] have
K [architecture|CPU architecture|arch|uname -m|machine architecture|system architecture|hardware architecture|processor architecture|which architecture]
""", "the architecture|the CPU architecture|the machine architecture", 0.7),
    Fact("system", ". /etc/os-release && echo $PRETTY_NAME", "The operating system is {}.", system, """
Q [what|which] [operating system|OS|os|Linux distribution|distro|Linux distro|linux distribution] [is this|is running|am I running|does @machine run|do you run on|is installed|are we on|do we use|is it]
Q [what|which] version of the [operating system|OS|Linux distribution|distribution|distro] [is this|is running|do we have|is installed|are we on]
W [the|] [operating system|OS|OS name|OS version|Linux distribution|name of the operating system|distribution|distro|name of the distribution|name of the OS]@here
W [what|which] [operating system|OS|distribution|distro] [this is|@machine runs|we are on|we run|is installed|is used here]
Q what is the [operating system|OS|OS version|distribution|name of the operating system|Linux distribution|os]@here
I identify the [Linux distribution|operating system|OS|distro|distribution]@here
I [check|find out|look up|get] the [OS|operating system|distribution|OS version|distro|Linux distribution]@here
Q is [this|@machine] [Debian|Ubuntu|Fedora|Alpine|Windows|Linux|a Debian|running Debian|running Ubuntu|running Windows]
Q [what|which] [flavor|flavour|kind|type] of Linux is this
Q [what|which] [OS|os|system|Linux] [is it|is that|are we using|is this machine on]
K [OS|operating system|distro|os version|Linux distribution|os name|distribution|which distro|which OS|what OS|Linux distro|name of the distro|OS name|system version|OS version]
""", "the operating system|the OS|the Linux distribution|the distribution|the OS version"),
    Fact("user", "whoami", "The current user is {}.", lambda n: n.pick(["root", "user", "sandbox", "nobody", n.stem(), n.stem(), n.stem(), n.stem()]), """
Q [who am I|who am i|what user am I|which user am I|what is my user name|what is my username|what is my login name|what is my login|who are we]@here
Q [what|which] user [is this|is running|are you running as|am I logged in as|do you run as|runs the commands|is logged in|is active|are we]
W [the|my|] [current user|user name|name of the current user|username|login name|name of the user|user]@here
W [which|what] user [I am|you are|is logged in|is running this|we are|I am logged in as|runs this]
W who I am@here
W [the user|which user] I am logged in as
Q what is the [current user|name of the user|user name|username|name of the current user|login name]@here
Q under [which|what] user [does this run|do you run|am I working|are the commands run|do we work|am I logged in]
Q as [whom|which user|what user|who] am I [logged in|running|working]@here
Q who is [logged in|the current user|the user|running this|logged in right now]@here
Q am I root@here
I [run|use] whoami
I [check|find out|look up] [my user name|who I am|which user I am|the current user|the user name|my username]@here
K [whoami|user|current user|user name|username|my user name]
""", "the user|the current user|the user name|who I am|my user name"),
    Fact("hostname", "uname -n", "The host name is {}.", host, """
Q what is the [hostname|host name|name of @machine|network name|computer name|machine name|name of the host]
W the [hostname|host name|name of @machine|name of the host|machine name|computer name]
Q [what is @machine called|how is @machine called|what is @machine's name|what name does @machine have]
W [what @machine is called|how @machine is called]
Q [which|what] [hostname|host name|name] does @machine have
Q what is the name of @machine
I [check|find out|get|look up] the [hostname|host name|name of @machine|machine name]
Q on [which|what] [host|machine|computer] [am I|are we]
I [run|use] hostname
K [hostname|host name|machine name|computer name|name of this machine]
""", "the hostname|the host name|the machine name|the name of the machine"),
    Fact("date", "date '+%A %d %B %Y'", "Today is {}.", day, """
Q what is [the date|today's date|the current date|the date today|the date of today|today]
Q [what|which] date [is it|is it today|do we have|do we have today|is today]
Q what [day is today|day is it|day is it today|day do we have|day of the week is it|weekday is it]
Q which [day|weekday|day of the week] is [it|it today|today]
W [the date|today's date|the current date|the date of today|the day|the weekday|the current day|the day of the week]
W [what|which] [date|day|weekday] [it is|it is today|we have|today is]
I [check|look up|get] the [date|current date|calendar|date of today|day]
Q what [year|month] [is it|is this|do we have|are we in]
W the current [year|month|day|weekday]
W [what|which] [year|month] [it is|this is|we have]
Q is it [Monday|Friday|Sunday|the weekend|Wednesday] today
Q what [day and month|day of the month|date and year] is it
K [date|today|today's date|current date|the date today|weekday|what day|day of the week|which day|current day|what date|date today|the date]
""", "the date|today's date|the current date|what day it is"),
    Fact("time", "date '+%H:%M'", "It is {}.", clock, """
Q what time is it [|now|right now|there|at your place]
Q what is the [time|current time|time now|time of day]
W [the time|the current time|the time of day]
W what time it is [|now]
I [check|look at|read] the [time|clock|current time]
Q do you [have|know] [the time|what time it is|the current time]
Q [could|can] you [tell|give] me the time
Q how late is it [|now]
Q [what does the clock say|what hour is it|what is the clock]
K [time|current time|the time|time now|clock|what time]
""", "the time|the current time|what time it is"),
    Fact("uptime", "uptime -p", "The system has been {}.", uptime, """
Q how long has @machine been [running|up|on|online|up and running|alive]
Q since when [is|has been] @machine [up|running|been up|been running|online]
Q [since how long|for how long] [is|has] @machine [up|been up|been running|running|on]
W [the|] [uptime|system uptime|uptime of @machine|time since boot|time since the last boot]
W how long @machine has been [up|running|on|online|alive]
Q what is the [uptime|system uptime|uptime of @machine|current uptime]
Q when [was @machine|did @machine] [started|booted|boot|start|last boot|last rebooted|boot up]
I [check|look at|get] the [uptime|system uptime|uptime of @machine]
Q how long ago [did @machine boot|did @machine start|was @machine booted|was @machine started|was the last reboot]
I [run|use] uptime
K [uptime|system uptime|up since|time since boot|how long up]
""", "the uptime|the system uptime|how long it has been up", 1.0, True, "awk '{print int($1 / 60)}' /proc/uptime",
         "The system has been up for {} minutes.", lambda n: str(n.number(6))),
    Fact("directory", "pwd", "The current directory is {}.", lambda n: n.absolute(), """
Q what is [the|my] [current directory|working directory|current folder|current working directory|current path|present directory]
I [show|print|tell me] [the|my] [current directory|working directory|current working directory]
W [the|my|] [current directory|working directory|current working directory|current path|current folder|present working directory]
Q [where am I|where are we|where are we now|where am I right now|where in the file system are we]
Q [which|what] [directory|folder] [am I in|are we in|is this|am I working in|is the current one|do we work in]
Q in [which|what] [directory|folder|path] [are we|am I|do you work|are the commands run|do we work]
W [where I am|where we are|which directory this is|which directory we are in|what directory I am in|the folder we are in]
I [check|find out|get] [the current directory|the working directory|where we are|the current path|my working directory]
I [run|use] pwd
K [pwd|current directory|working directory|current folder|cwd|where am i]
""", "the current directory|the working directory|the current folder|where I am"),
    Fact("home", "echo $HOME", "The home directory is {}.", lambda n: n.pick(["/root", "/home/user", "/home/" + n.stem(), n.absolute()]), """
Q [what is|where is] [my|the|the user's] home [directory|folder]
W [my|the|] home [directory|folder] [|of the current user|of this user]
W where [my|the] home [directory|folder] is
Q [which|what] [directory|folder] is my home
I [check|find|look up|get] [my|the] home [directory|folder]
Q where do my files live
I [tell me|find out] [my|the] home [directory|folder]
Q what is the path of [my|the] home [directory|folder]
W the path of [my|the] home [directory|folder]
K [home directory|home|home folder|echo $HOME|my home|my home directory|path of my home]
""", "the home directory|my home directory|the home folder", 0.7),
    Fact("processes", "ps -eo comm= | head -n 5 | paste -sd,", "The first running processes are {}.", processes, """
W [the|all|] [running|active|current|] processes@here
W [what|which] [processes|programs] [are running|are active|run|are currently running]@here
W what [is running|runs]@here
W what @machine is [doing|running|executing]
W what [the CPU|the processor] is [doing|running|executing|working on]
I @show [the|all|all the|me the|] [running|active|current|] processes@here
I @show [the|all|all the|me the|] [running|active] programs@here
Q [what|which] [processes|programs|commands|tasks|services|jobs] are [running|active|currently running|running right now|at work]@here
Q [what|which] [processes|programs] [run|does @machine run|are being executed]@here
Q what is running [on @machine|in the sandbox|here|right now|at present]
Q what is @machine [doing|running|executing|busy with|working on] [|right now|at the moment|at present]
Q what is [the CPU|the cpu|the processor] [doing|running|executing|working on|busy with] [|right now|at the moment]
Q what does @machine [run|do|execute] [right now|at the moment|just now|at present]
Q what [keeps @machine busy|is going on|is @machine up to|is active|is being executed]@here
I view the [process list|list of processes|running processes|process table]
I [look at|check|inspect|see] the [processes|process list|running processes|running programs|process table]
I [check|see|find out|look] [what|which programs|which processes] [is|are] running
W [the|] [process list|list of processes|list of running programs|running programs|process table]@here
Q are there any [running|active|] [processes|programs]@here
Q can you list [the|all|] [running|active|] [processes|programs]
I [run|use] [ps|top]
K [processes|running processes|ps|process list|ps aux|list processes|running programs|active processes|what is running|show processes|process table|ps -e|what runs]
""", "the processes|the running processes|the process list", 1.2, True, "cat /proc/[0-9]*/comm | head -n 5 | paste -sd,",
         "The first running processes are {}.", processes),
    Fact("process_count", "ls -d /proc/[0-9]* | wc -l", "There are {} running processes.", lambda n: str(n.number(4)), """
Q how many [processes|running processes|programs|active processes|tasks] [are running|are there|do we have|are active|run|exist]@here
W [the|] number of [running|active|] [processes|programs|tasks]@here
W how many [processes|programs|tasks] [are running|there are|run|are active]@here
I @count [the|all|all the|] [running|active|] [processes|programs]@here
Q what is the number of [running|active|] [processes|programs]@here
Q what is the [process count|count of processes|total number of processes]@here
K [number of processes|process count|count processes|how many processes]
""", "the number of processes|the process count|how many processes run"),
    Fact("python", "python3 --version", "The installed version is {}.", python, """
Q [what|which] [version of python|python version|version of Python|Python version|Python|python3 version|version of python3] [is installed|do you have|is this|is there|do we have|is available|are we using|is used]@here
W the [python version|version of python|installed python version|Python version|version of Python|python3 version]@here
W [what|which] [version of Python|python version|python|Python] [we have|is installed|is used|is there|we use]@here
Q is [python|Python|python3|Python 3] [installed|available|there|present]@here
Q do [we|you|I] have [python|Python|python3|Python 3] [|installed|available]@here
I [check|find out|look up|see] [the python version|the version of Python|if python is installed|whether Python is installed|which Python we have]@here
Q how [new|old|recent] is [Python|python|the python]@here
K [python version|python3 --version|python|version of python|Python version]
""", "the Python version|the version of python|python version", 1.0, True),
]
BY_NAME = {fact.name: fact for fact in FACTS}


def replaced(n, fact):
    """The command is not installed: the second one answers."""
    program = fact.command.split()[0]
    missing = n.pick([f"bash: line 1: {program}: command not found", f"bash: {program}: command not found",
                      f"/bin/bash: line 1: {program}: command not found", f"sh: 1: {program}: not found"])
    failed = Step(fact.command, "", missing, 127)
    if not fact.instead:
        return Instance({}, [failed], f"{program} is not installed here.", ["not installed"])
    output = fact.instead_output(n)
    return Instance({}, [failed, Step(fact.instead, output)], fill(fact.instead_answer, output), values(fact.instead_answer, output))


def drawing(fact):
    def draw(n):
        if fact.may_lack and n.chance(0.12):
            return replaced(n, fact)
        output = fact.output(n)
        return Instance({}, [Step(fact.command, output)], fill(fact.answer, output), values(fact.answer, output))

    return draw


for each in FACTS:
    lines = [line.strip() for line in each.templates.strip().splitlines()]
    TASKS[each.name] = Task(each.name, lines, drawing(each), each.weight)
