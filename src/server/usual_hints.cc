#include "server/usual_hints.h"

#include <algorithm>
#include <iterator>

namespace lmsb::server {
namespace {

constexpr std::string_view kLater = "try again in a moment; Retry-After says when at the earliest";
constexpr std::string_view kKey = "send Authorization: Bearer KEY; lm-sandbox key create makes one";
constexpr std::string_view kGone =
    "the sandbox has ended: GET /v1/sandboxes/{id} says what became of it; start it again, or create another";
constexpr std::string_view kSnapshots = "GET /v1/snapshots lists what there is";

constexpr UsualHint kHints[] = {
    // NOLINT(modernize-avoid-c-arrays)
    {"already_exists", "choose another name, or remove what is there"},
    {"busy", kLater},
    {"cancelled", "ask again"},
    {"command_too_large", "write what is long to a file in the sandbox, or send it as stdin"},
    {"credential_request_refused", "send one plain HTTP/1.1 request to a path that the credential is for"},
    {"daemon_ends", kLater},
    {"database_damaged", "the daemon's log says which file; what is kept is on its disk still"},
    {"deadline_exceeded", "ask again, for less or with more time"},
    {"disk_lost", "it can only be deleted; make another from a snapshot, if there is one"},
    {"disk_not_kept", "kept sandboxes need disks: lm-sandbox doctor says what this machine lacks for them"},
    {"file_exists", "choose another path, or have it overwritten"},
    {"file_not_found", "files/list shows what a directory has"},
    {"file_not_written", "choose a path below /workspace, /home/user or /tmp, and names of at most 255 bytes"},
    {"file_operation_lost", "something in the sandbox has ended or taken over the operation: ask again"},
    {"gate_lost", kLater},
    {"header_too_large", "send less in the header: 32 KiB and 128 fields at most; what is long belongs in a body"},
    {"image_not_found", "GET /v1/images lists what there is; lm-sandbox image build makes one"},
    {"internal", "this is a bug of lm-sandbox: the daemon's log has more about it"},
    {"invalid_argument", "/docs shows what may be sent"},
    {"invalid_command", "cmd is a text for a shell, or a list of a program and its arguments"},
    {"invalid_cwd", "cwd is an absolute path of a directory in the sandbox, /workspace for example"},
    {"invalid_env", "names of variables have no =, and are not empty; neither names nor values have a NUL"},
    {"invalid_idempotency_key", "send a new random text, a UUID for example"},
    {"invalid_life", "send seconds from 1 to 315360000, or 0 for no limit where that may be"},
    {"invalid_mount_target", "choose an absolute path of its own, below /workspace or /mnt for example"},
    {"invalid_mount_token", "directories are handed over by lm-sandbox run -v and create -v"},
    {"invalid_name", "begin with a letter or digit; then letters, digits and _ . - follow, up to 63"},
    {"invalid_path", "a path has 1 to 4095 bytes and no NUL, a name 255"},
    {"invalid_port", "send a number from 1 to 65535"},
    {"invalid_request", "/docs shows what may be sent"},
    {"invalid_scope", "scopes are read, write, models and admin"},
    {"invalid_session", "a session's name begins with a letter or digit; letters, digits and _ . - follow"},
    {"is_a_directory", "files/list shows what is in it"},
    {"key_expired", "an administrator makes another one: lm-sandbox key create"},
    {"key_required", kKey},
    {"key_unknown", kKey},
    {"launcher_lost",
     "ask again in a moment: launcher and daemon are started again, unless a command started them, or the "
     "launcher died too often; the log says more"},
    {"limit_out_of_bounds", "choose a value within the bounds that the message says"},
    {"malformed_request",
     "send plain HTTP/1.1: a path that begins with /, with % before two hexadecimal digits, and one Host"},
    {"mounts_not_kept", "hand the directories over again to a new sandbox: lm-sandbox create -v"},
    {"name_taken", "choose another name, or remove what has this one"},
    {"network_fixed", "stop it and start it again"},
    {"no_bash", "send commands without a session, or use an image with bash"},
    {"no_terminal", "start the process with pty"},
    {"not_a_model", "send a GGUF file"},
    {"not_a_program", "build or install it again"},
    {"not_found", "look what there is: the list of the same path shows it"},
    {"path_not_found", "/docs lists all paths"},
    {"permission_denied", "ask with another key, or ask an administrator"},
    {"port_no_answer", "look at the output of the server in the sandbox"},
    {"port_not_listening", "start a server in the sandbox that listens on 127.0.0.1 or 0.0.0.0"},
    {"port_timeout", "look at the output of the server in the sandbox"},
    {"process_ended", "GET .../processes/{pid} says how it ended; start another"},
    {"process_not_found", "GET .../processes lists those that there are"},
    {"request_timeout", "send the whole request without long pauses"},
    {"request_too_large", "send less; files go by PUT /v1/sandboxes/{id}/files, which takes any size"},
    {"resource_exhausted", kLater},
    {"runner_busy", kLater},
    {"runner_failed", "ask again: the next request starts a new one; the daemon's log has its last words"},
    {"sandbox_ambiguous", "send more of the id, or the name"},
    {"sandbox_busy", kLater},
    {"sandbox_lost", kGone},
    {"sandbox_not_found", "GET /v1/sandboxes lists what there is"},
    {"sandbox_not_running", "GET /v1/sandboxes/{id} shows its state; start or resume it first"},
    {"sandbox_silent", "give it more CPU, kill what runs in it, or make another"},
    {"session_not_found", "a command with that session starts one"},
    {"session_over", "send the command again: that starts a new session"},
    {"snapshot_not_exportable", "remove what is too large in a sandbox made from the snapshot, and take another one"},
    {"snapshot_not_found", kSnapshots},
    {"store_full", "remove sandboxes, snapshots or volumes, or make room on the data directory's file system"},
    {"too_many_files", "send an archive: PUT /v1/sandboxes/{id}/archive takes any number"},
    {"too_many_labels", "64 at most: leave some out"},
    {"too_many_large_requests", kLater},
    {"too_many_sandboxes", "delete sandboxes that nobody needs"},
    {"unauthenticated", kKey},
    {"unavailable", kLater},
    {"unsupported", "lm-sandbox doctor says what this machine can do"},
    {"unsupported_coding", "send the body with Content-Length, or Transfer-Encoding: chunked"},
    {"unsupported_expectation", "leave Expect away, or send Expect: 100-continue"},
    {"unsupported_http_version", "speak HTTP/1.1"},
    {"user_not_allowed", "leave user away, or say \"user\"; root needs a sandbox with \"profile\": \"root\""},
    {"volume_in_use", "delete the sandboxes that have it first"},
    {"volume_lost", "it can only be removed"},
    {"volume_not_found", "GET /v1/volumes lists what there is"},
};

constexpr bool comes_before(const UsualHint& a, const UsualHint& b) { return a.code < b.code; }
static_assert(std::is_sorted(std::begin(kHints), std::end(kHints), comes_before));

}  // namespace

std::span<const UsualHint> usual_hints() { return kHints; }

std::string_view usual_hint(std::string_view slug) {
  const auto* found = std::lower_bound(std::begin(kHints), std::end(kHints), UsualHint{slug, {}}, comes_before);
  return found != std::end(kHints) && found->code == slug ? found->hint : std::string_view();
}

}  // namespace lmsb::server
