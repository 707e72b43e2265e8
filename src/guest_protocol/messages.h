#pragma once
// Messages between the daemon and a guest, over one SEQPACKET socket: a fixed header, then for some kinds a body.
//
// The daemon parses what a guest sends like network input: sizes are checked, values bounded, unknown kinds end the
// channel, and nothing in a message can concern another sandbox. All integers are in host order: both ends are one
// machine.
#include <array>
#include <cstdint>

#include "guest_protocol/setup.h"

namespace lmsb::guest_protocol {

constexpr std::size_t kMaxBody = 384 * 1024;    // arguments and environment of one command
constexpr std::uint32_t kMaxProcesses = 1024;   // commands alive at once in a sandbox
constexpr std::uint32_t kMaxKept = 256;         // of them, and of ended ones, those whose output the guest keeps
constexpr std::uint32_t kMaxConnecting = 64;    // connections to ports that are being made at once
constexpr std::uint32_t kMaxPiece = 64 * 1024;  // octets of output or input in one message
constexpr std::uint32_t kMaxNote = 16 * 1024;   // octets that the daemon has kept with a command
constexpr std::uint16_t kModelPort = 11434;     // of 127.0.0.1 in a sandbox that has models

enum class Kind : std::uint32_t {
  // daemon → guest
  start = 1,  // StartRequest + body; descriptor 0, if any, is the command's stdin
  kill = 2,   // KillRequest
  // ... of a command with Output::kept, by its sequence, until it is forgotten
  write_stdin = 3,    // WriteStdin + data
  read_output = 4,    // ReadOutput
  resize = 6,         // Resize: of a command with a terminal
  forget = 5,         // Header only: its output is not wanted any more; killed if it is alive
  connect_port = 7,   // ConnectPort
  stay = 8,           // Stay: the guest outlives this channel
  take_network = 10,  // Header only: for a gate; of what has been taken before nothing listens any more
  keep_note = 9,      // KeepNote + note: in place of the one that a kept command began with
  take_models = 11,   // Header only: for requests to models; what has been taken before does not listen any more
  read_usage = 12,    // Header only: what a command that runs has used so far
  find_output = 13,   // FindOutput
  // guest → daemon
  ready = 64,           // Ready: the sandbox stands
  failed = 65,          // Failed: the launch failed; the guest ends
  started = 66,         // Started; descriptors: read ends of stdout and stderr
  start_failed = 67,    // StartFailed
  exited = 68,          // Exited
  stdin_done = 69,      // StdinDone: the answer to write_stdin
  output = 70,          // OutputPiece + data: the answer to read_output
  output_grew = 71,     // OutputGrew: there is more where a read found nothing
  port_connected = 72,  // Header only; descriptor: the connection
  port_failed = 73,     // PortFailed
  network = 75,         // Header only: the answer to take_network; descriptors: TCP and UDP socket; none: no network
  held = 74,            // Held + note: on a later channel, behind `ready`, for each kept command; then for none
  models = 76,          // Models: the answer to take_models; descriptor, unless it says why not: a TCP socket that is
                        // bound to kModelPort and does not listen
  usage = 77,           // Usage: the answer to read_usage
  output_span = 78,     // OutputSpan: the answer to find_output
};

// Where what a command writes goes.
enum class Output : std::uint32_t {
  direct,  // to the daemon: the read ends of the pipes travel with `started`; the command ends with its reader
  kept,    // to the guest, which keeps the last of each stream in memory and what came before it in a file
};

enum class Stream : std::uint32_t { out, err };
constexpr std::size_t kStreams = 2;

// What a start request makes of the standby process once it has the posture of a command.
enum class Program : std::uint32_t {
  exec,     // execute argv; argv[0] is searched in PATH when it has no slash
  shell,    // as exec, but argv[0] is empty: /bin/bash, else /bin/sh
  put,      // read a file bundle (bundle.h) from stdin and write the files
  get,      // write the files named by argv to stdout as a bundle
  save,     // write stdin to the file argv[0], at most argv[1] octets; exit status 0: that was all
  connect,  // connect to the unix socket named argv[0], send it stdin, and write what it answers to stdout
  files,    // carry out the file operation argv[0] (file_records.h)
  ports,    // write what listens for TCP connections to stdout (port_records.h)
};

struct Header {
  Kind kind;
  std::uint32_t sequence;  // chosen by the daemon; names the command in every later message
};

// What each process of a command may use (getrlimit(2)), below what every process in the sandbox may. 0 = no less.
struct ProcessLimits {
  std::uint64_t cpu_seconds = 0;   // then SIGXCPU; a second later, SIGKILL
  std::uint64_t memory_bytes = 0;  // of address space
  std::uint64_t file_bytes = 0;    // that a file may grow to
  std::uint64_t open_files = 0;
};

// Body: argc strings, then envc strings, then the working directory; each NUL-terminated. Then the note of a command
// with Output::kept: what the daemon wants to find again when it is another one; the guest does not look at it.
struct StartRequest {
  Header header;
  Program program;
  std::uint32_t argc;
  std::uint32_t envc;
  std::uint32_t body_size;
  std::uint64_t deadline_ms;  // 0 = none: the guest kills the tree after this; of a direct one a spare, for when the
                              // daemon is away
  Output output = Output::direct;
  std::uint32_t keep_stdin = 0;  // 1: stdin is a pipe that the guest holds, for write_stdin; only with Output::kept
  // Not 0: the command gets a terminal of that size for stdin, stdout and stderr; only with Output::kept. What it shows
  // is Stream::out, what is written to stdin is typed.
  std::uint16_t columns = 0;
  std::uint16_t rows = 0;
  std::uint32_t note_size = 0;  // of body_size; at most kMaxNote
  ProcessLimits limits;
  // 1: as kCommandUid, without any capability, where others are root.
  std::uint32_t as_user = 0;
  std::uint32_t spill_mib = 0;  // of each stream, in a file of the sandbox; only with Output::kept
  // 1: stderr is stdout's pipe, so that what is written to both stays in order; nothing comes as Stream::err.
  std::uint32_t merge_stderr = 0;
  std::uint32_t unused = 0;
};

// When the channel closes the guest ends what has Output::direct, and waits on its listener for the next one.
struct Stay {
  Header header;
  std::uint64_t life_ms;  // from now on; the sandbox ends then if nobody is there who decides. 0 = never
};

struct KeepNote {
  Header header;
  std::uint32_t size;  // of the note, at most kMaxNote
};

// kLeftBehind with whole_tree: what commands that have ended have left behind; the sandbox is to be stopped, and
// nothing is kept ready for the next command: its cgroup `work` is empty as soon as nothing runs any more.
constexpr std::uint32_t kLeftBehind = 0;  // a sequence
struct KillRequest {
  Header header;
  std::int32_t signal;
  std::uint32_t whole_tree;  // 1: every process of the command; 0: the leader
};

// Whether the kernel keeps for nobody in the sandbox when packets were sent.
enum class PacketTimes : std::uint32_t {
  no_such_setting,  // before Linux 6.13: it is the whole machine's
  forbidden,
  refused,  // the machine does not let a sandbox's root have it so
};

struct Ready {
  Header header;
  std::int32_t landlock_abi;  // 0 = not in force
  PacketTimes packet_times;
  std::uint32_t has_netlink_door;  // 1: programs can list network interfaces; 0: they are told that there is no list
  std::array<std::uint32_t, kLaunchSteps> step_us;
};

struct Failed {
  Header header;
  Step step;
  std::int32_t error;  // errno
};

struct Started {
  Header header;
  std::int32_t pid;  // inside
};

// At most kMaxPiece octets follow. Answered when the pipe has taken them all; one at a time for each command.
struct WriteStdin {
  Header header;
  std::uint32_t size;
  std::uint32_t close;  // 1: afterwards that was all
};

struct StdinDone {
  Header header;
  std::int32_t error;  // EPIPE: nobody reads it any more; ESRCH: no such command, or it has no stdin; EBUSY
};

struct Resize {
  Header header;
  std::uint16_t columns;
  std::uint16_t rows;
};

struct ReadOutput {
  Header header;
  std::uint32_t ticket;  // the answer carries it
  Stream stream;
  std::uint64_t offset;   // of the stream's octets, from its beginning
  std::uint32_t size;     // at most; kMaxPiece
  std::uint32_t discard;  // 1: what stands before `offset` is not wanted any more
  std::uint32_t by_time;  // 1: the answer ends where what came later begins, and says when it came
  std::uint32_t unused;
};

// `size` octets of data follow. Nothing there yet (size 0, ended 0): `output_grew` will come, once.
struct OutputPiece {
  Header header;
  std::uint32_t ticket;
  Stream stream;
  std::uint64_t offset;  // of the first octet that follows: larger than asked where the ones before it are lost
  std::uint64_t end;     // how much the stream has had so far
  std::uint32_t size;
  std::uint32_t ended;  // 1: nothing more will come (and it is all there up to `end`)
  std::int32_t error;   // ESRCH: no such command
  std::uint32_t unused;
  std::uint64_t
      came_ms;  // where it was asked for by_time: CLOCK_BOOTTIME, of the first octet that follows; 0 = no data
};

// Asks where of a stream that stands which came in a time, both ends included; CLOCK_BOOTTIME.
struct FindOutput {
  Header header;
  std::uint32_t ticket;  // the answer carries it
  Stream stream;
  std::uint64_t since_ms;
  std::uint64_t until_ms;
};

// All that came in that time, as precisely as is known; of what has come so far.
struct OutputSpan {
  Header header;
  std::uint32_t ticket;
  Stream stream;
  std::uint64_t begin;
  std::uint64_t end;   // not before `begin`
  std::int32_t error;  // ESRCH: no such command
  std::uint32_t unused;
};

struct OutputGrew {
  Header header;
  Stream stream;
};

// Connect to what listens on that port of the sandbox's loopback. Answered once; kMaxConnecting at a time.
struct ConnectPort {
  Header header;
  std::uint32_t port;
};

struct PortFailed {
  Header header;
  std::int32_t error;  // ECONNREFUSED: nothing listens; ETIMEDOUT: it does not accept; EAGAIN: too many at once
};

struct Models {
  Header header;
  std::int32_t error;  // errno; EADDRINUSE: a program of the sandbox has the port
};

struct StartFailed {
  Header header;
  Step step;
  std::int32_t error;
};

struct Exited {
  Header header;
  std::int32_t status;        // as wait(2)
  std::uint32_t tree_left;    // 1: other processes of the command's tree are still alive
  std::uint32_t timed_out;    // 1: the guest killed the tree at the spare deadline
  std::uint32_t was_alone;    // 1: no other command, and nothing that one had left behind, ran meanwhile
  std::uint32_t disk_full;    // 1: the writable file system had no room when it ended, with a failure
  std::uint32_t disk_filled;  // 1: and had when it began, was alone, and wrote
  std::uint64_t cpu_user_us;  // of the whole tree so far
  std::uint64_t cpu_system_us;
  std::uint64_t max_rss_bytes;  // of the largest process waited for
};

// Of the whole tree of a command so far.
struct Usage {
  Header header;
  std::int32_t error;  // ESRCH: no such command, or it has ended
  std::uint32_t unused;
  std::uint64_t cpu_user_us;
  std::uint64_t cpu_system_us;
};

// A kept command, as the guest knows it; `note_size` octets follow. The last one has sequence 0 and only says
// `last_sequence`: what comes later must have other numbers.
struct Held {
  Header header;
  enum class State : std::uint32_t { runs, exited, start_failed } state;
  std::int32_t pid;
  StartFailed failure;  // with State::start_failed
  std::uint32_t note_size;
  Exited exited;                // with State::exited
  std::uint64_t ended_ms;       // CLOCK_BOOTTIME; unless it runs
  std::uint32_t has_stdin;      // 1: input can be written
  std::uint32_t takes_input;    // 1: input of an earlier channel is still on its way to its stdin
  std::uint32_t last_sequence;  // of the last one
};

}  // namespace lmsb::guest_protocol
