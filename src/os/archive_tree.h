#pragma once
// Directory trees as archives, in both directions. Nothing of either side is followed: links are kept as links, and
// an archive cannot write outside the directory it is taken into, whoever else changes that meanwhile. No exceptions,
// no iostreams: the guest is linked with it. One thread; blocks.
#include <array>
#include <cstdint>
#include <string_view>
#include <sys/types.h>

#include "os/archive.h"
#include "os/tree_walk.h"

namespace lmsb::os {

// What is told while an archive is made or taken apart.
class ArchiveEvents {
 public:
  virtual ~ArchiveEvents() = default;
  // Left out: a device, a socket, what cannot be read or made. False: this is to be the end.
  virtual bool skipped(std::string_view path, int error) = 0;
  // Something was made that was not there: `name` in `dir`, or what `dir` is where that is "". A file has no name yet.
  // Anything but 0 ends it with that errno.
  virtual int made(int, const char*) { return 0; }
  // Content went by.
  virtual void moved(std::uint64_t) {}
};

// How far it came.
struct ArchiveOutcome {
  int error = 0;  // errno of the end; 0 = all
  PathBuffer at;  // of what failed
  std::uint64_t members = 0;
  std::uint64_t bytes = 0;
};

// Holes are written out as zeros, and take nothing: a file that seems to have 64 GiB more than it takes is none for an
// archive (EFBIG), as it could go on for days.
bool is_mostly_holes(const struct stat& status);

// Writes what is below `dir` to `writer`, without finish(). Files, directories and symbolic links; the rest is skipped
// (ENOTSUP). A file that shrinks meanwhile ends it with ESTALE. A second name of a file is a hard link where the writer
// keeps them, for as many files as a LinkTable holds; beyond, each name is a file of its own.
void write_tree(int dir, ArchiveWriter& writer, ArchiveEvents& events, ArchiveOutcome& outcome);
// Writes one regular file, open for reading, as `name`.
void write_file(int file, std::string_view name, ArchiveWriter& writer, ArchiveEvents& events, ArchiveOutcome& outcome);

// Takes all of `reader` into the directory behind `dir`. Each file appears whole or not at all, and replaces what stood
// there; directories are made, or kept. Blocks of zeros become holes. Devices and FIFOs are skipped. A path with "..",
// or that leads through a symbolic link, ends it (EXDEV, ELOOP). Permissions in `mask` are not given; those of
// directories that are there already stay.
void extract_tree(int dir, ArchiveReader& reader, ArchiveEvents& events, ArchiveOutcome& outcome, mode_t mask = 0);

}  // namespace lmsb::os
