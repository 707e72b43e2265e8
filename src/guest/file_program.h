#pragma once
// The program `files`: what the file API does inside a sandbox, with the posture of a command, so that every path is
// resolved in the sandbox, with its user's rights, and charged to its limits. Answers in records
// (guest_protocol/file_records.h) on stdout. FIFOs, devices and sockets are looked at and never opened for good.
//
//   stat PATH                                       entry; a second one of what a symbolic link leads to
//   read PATH                                       entry; then, after a ReadOrder on stdin, data
//   write PATH replace|create|append MODE [OWNER CONDITION]     entry of the file; stdin: chunks. MODE octal, or - for
//                                                   the usual; OWNER and CONDITION likewise, if there are any
//   list PATH DEPTH LIMIT CURSOR                    entries in order; CURSOR as the page before gave it, or empty
//   mkdir PATH MODE PARENTS [OWNER]                 entry; PARENTS 1: also what is missing above, and it may be there
//   move FROM TO OVERWRITE                          entry
//   copy FROM TO OVERWRITE                          entry of the copy
//   remove PATH RECURSIVE [CONDITION]               done counts
//   chmod PATH MODE RECURSIVE [OWNER]               done counts. MODE octal, or - for the one it has
//   glob ROOT PATTERN LIMIT                         entries
//   grep ROOT PATTERN fixed|regex exact|any NAMES LIMIT     matches; NAMES a pattern for names of files, or empty
//   replace ROOT OLD NEW NAMES LIMIT                changed; LIMIT of files
//   pack PATH SKIP tar|zip                          data: an archive; SKIP 1: what cannot be read is skipped
//   unpack PATH tar|tar.zst|zip [OWNER]             stdin: chunks of an archive
//   watch PATH RECURSIVE                            armed; then events, until PATH goes (done)
//
// OWNER as parse_owner(), CONDITION as Condition have them. A guest of before knows neither: what asks for one is there
// ENOSYS.
// Nothing here has a destructor that must run: the process ends with its answer.
#include <cstdint>
#include <string_view>
#include <sys/stat.h>

namespace lmsb::guest {

// Runs the operation argv[0]. The exit status says nothing that the records do not.
[[noreturn]] void run_files(char* const* argv);

// Each operation ends the process by done() or failed() of file_answer.h. `args` are its own, all there.
[[noreturn]] void file_stat(char* const* args);
[[noreturn]] void file_read(char* const* args);
[[noreturn]] void file_write(char* const* args);
[[noreturn]] void file_list(char* const* args);
[[noreturn]] void file_make_directory(char* const* args);
[[noreturn]] void file_move(char* const* args);
[[noreturn]] void file_copy(char* const* args);
[[noreturn]] void file_remove(char* const* args);
[[noreturn]] void file_chmod(char* const* args);
[[noreturn]] void file_glob(char* const* args);
[[noreturn]] void file_grep(char* const* args);
[[noreturn]] void file_replace(char* const* args);
[[noreturn]] void file_pack(char* const* args);
[[noreturn]] void file_unpack(char* const* args);
[[noreturn]] void file_watch(char* const* args);

}  // namespace lmsb::guest
