"""What leaves a machine: packets at all interfaces of a network namespace, as the kernel hands them out (AF_PACKET).

LMSB_CAPTURE=1 has a system test run on a machine of its own, whose way out leads nowhere, and fails it if anything of it was
sent there: the daemon, its command line, whatever they start, and the test itself."""
import contextlib
import ctypes
import os
import pathlib
import socket
import struct
import subprocess
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
NEW_NETWORK = 0x40000000
ALL_PROTOCOLS = 3
ADD_FILTER, ROOM_WHATEVER_THE_LIMIT = 26, 33  # SO_ATTACH_FILTER, SO_RCVBUFFORCE
PACKETS, STATISTICS = 263, 6  # SOL_PACKET, PACKET_STATISTICS
KEPT = 50  # of the packets that were found, to be shown

# Nothing of loopback, and the heads of all others.
NO_LOOPBACK = struct.pack("=" + "HBBI" * 4, 0x20, 0, 0, 0xfffff008, 0x15, 0, 1, 1, 0x06, 0, 0, 0, 0x06, 0, 0, 128)
NOTHING = struct.pack("=HBBI", 0x06, 0, 0, 0)
MACHINE = ("192.0.2.2/24", "192.0.2.1")
MACHINE_V6 = ("2001:db8::2/64", "2001:db8::1")
NEIGHBOUR = "02:00:00:00:00:01"


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def enter(path):
    """The calling thread's network is that of /proc/PID/ns/net from now on."""
    with open(path, "rb") as namespace:
        if LIBC.setns(namespace.fileno(), NEW_NETWORK) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def leave_for_nowhere():
    """The calling process lives on a machine of its own from now on. Everybody is reached by its default route, and gets
    nothing: who answers for the gateway's address is not there. Once in a process, before threads."""
    if LIBC.unshare(NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    ip("link", "set", "lo", "up")
    ip("link", "add", "out", "type", "veth", "peer", "name", "nowhere")
    ip("addr", "add", MACHINE[0], "dev", "out")
    has_v6 = os.path.exists("/proc/net/if_inet6")
    for interface in ("out", "nowhere"):
        if has_v6:  # no address of its own making, so that the kernel looks for no routers
            pathlib.Path(f"/proc/sys/net/ipv6/conf/{interface}/addr_gen_mode").write_text("1")
        ip("link", "set", interface, "up")
    ip("neigh", "add", MACHINE[1], "lladdr", NEIGHBOUR, "dev", "out", "nud", "permanent")
    ip("route", "add", "default", "via", MACHINE[1])
    if has_v6:
        ip("addr", "add", MACHINE_V6[0], "dev", "out", "nodad")
        ip("neigh", "add", MACHINE_V6[1], "lladdr", NEIGHBOUR, "dev", "out", "nud", "permanent")
        ip("-6", "route", "add", "default", "via", MACHINE_V6[1])


class Packet:
    """As much of one as tells whose it is; of fragments and of what is no IP the ports are 0."""

    def __init__(self, interface, kind, octets):
        self.interface, self.kind = interface, kind
        self.protocol, self.source, self.target, self.source_port, self.port = None, None, None, 0, 0
        at = 0
        if kind == 0x0800 and len(octets) >= 20:
            at = (octets[0] & 15) * 4
            self.protocol = octets[9]
            self.source, self.target = socket.inet_ntoa(octets[12:16]), socket.inet_ntoa(octets[16:20])
            if struct.unpack(">H", octets[6:8])[0] & 0x1fff:
                at = 0
        elif kind == 0x86dd and len(octets) >= 40:
            at, self.protocol = 40, octets[6]
            self.source, self.target = (socket.inet_ntop(socket.AF_INET6, octets[i:i + 16]) for i in (8, 24))
            if self.protocol == 0 and len(octets) >= 48:  # options for each hop, which the kernel's own reports have
                self.protocol, at = octets[40], 48 + octets[41] * 8
        if at and self.protocol in (socket.IPPROTO_TCP, socket.IPPROTO_UDP) and len(octets) >= at + 4:
            self.source_port, self.port = struct.unpack(">HH", octets[at:at + 4])
        self.message = octets[at] if at and self.protocol in (1, 58) and len(octets) > at else None

    def is_the_kernels(self):
        """What it says by itself of addresses on a link: ARP; of IPv6 neighbours and who listens to a group."""
        return self.kind == 0x0806 or (self.message is not None and (130 <= self.message <= 137 or self.message == 143))

    def __str__(self):
        if self.source is None:
            return f"{self.interface}: protocol {self.kind:#06x}"
        return f"{self.interface}: {self.source}:{self.source_port} -> {self.target}:{self.port}, protocol {self.protocol}"


class Capture:
    """Looks at what goes through all interfaces of a network namespace, the caller's or that of a process, from when it is made
    until end(). `found` are those packets that `is_fine` does not take: all but what the kernel says by itself, if nothing
    else is said. Without loopback, unless it is asked for. What crosses a veth pair within the namespace is seen twice."""

    def __init__(self, of_process=None, is_fine=Packet.is_the_kernels, with_loopback=False):
        self.is_fine, self.seen, self.found_count, self.found = is_fine, 0, 0, []
        self.socket = in_network_of(of_process, open_socket, with_loopback)
        self.is_ending = False
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        while True:
            try:
                octets, (interface, kind, *_) = self.socket.recvfrom(128)
            except TimeoutError:
                if self.is_ending:
                    return  # all that came before end() has been read
                continue
            self.seen += 1
            packet = Packet(interface, kind, octets)
            if not self.is_fine(packet):
                self.found_count += 1
                self.found += [str(packet)] if len(self.found) < KEPT else []

    def end(self):
        """Returns what was found. It is an error if packets went by unseen."""
        filter_by(self.socket, NOTHING)  # what comes from now on; what is there is still read
        self.is_ending = True
        self.reader.join()
        _, lost = struct.unpack("II", self.socket.getsockopt(PACKETS, STATISTICS, 8))
        self.socket.close()
        if lost:
            raise AssertionError(f"{lost} packets were not seen: there were too many")
        return self.found


def filter_by(packets, program):
    octets = ctypes.create_string_buffer(program)
    packets.setsockopt(socket.SOL_SOCKET, ADD_FILTER, struct.pack("HL", len(program) // 8, ctypes.addressof(octets)))


def open_socket(with_loopback):
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)  # which receives nothing yet
    opened.setsockopt(socket.SOL_SOCKET, ROOM_WHATEVER_THE_LIMIT, 64 << 20)
    if not with_loopback:
        filter_by(opened, NO_LOOPBACK)
    everywhere = struct.pack("=H2siHBB8x", socket.AF_PACKET, struct.pack(">H", ALL_PROTOCOLS), 0, 0, 0, 0)
    if LIBC.bind(opened.fileno(), everywhere, len(everywhere)) != 0:  # socket.bind() wants an interface
        raise OSError(ctypes.get_errno(), "bind")
    opened.settimeout(0.1)
    return opened


def in_network_of(pid, call, *arguments):
    """What it returns when it is called in the network of that process; None: the caller's."""
    if pid is None:
        return call(*arguments)
    returned = []

    def enter_and_call():
        enter(f"/proc/{pid}/ns/net")
        returned.append(call(*arguments))

    thread = threading.Thread(target=enter_and_call)  # which alone is there
    thread.start()
    thread.join()
    return returned[0]


@contextlib.contextmanager
def of_whole_run():
    """Until the block ends the process is on a machine of its own (it stays there); what left it is an error."""
    leave_for_nowhere()
    watching = Capture()
    yield watching
    watching.end()
    if watching.found_count:
        raise AssertionError(f"{watching.found_count} packets left the machine: " + "; ".join(watching.found))
