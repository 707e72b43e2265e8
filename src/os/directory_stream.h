#pragma once
// DirectoryStream: the names in a directory, one after the other by readdir(3).
#include <dirent.h>
#include <memory>

#include "base/unique_fd.h"

namespace lmsb::os {

struct CloseDirectory {
  void operator()(DIR* stream) const { ::closedir(stream); }
};
using DirectoryStream = std::unique_ptr<DIR, CloseDirectory>;

// Takes an open directory over, or what a failed open() returned. Null: it cannot be read, and is closed; errno says
// why.
inline DirectoryStream stream_of(UniqueFd directory) {
  DirectoryStream stream(directory ? ::fdopendir(directory.get()) : nullptr);
  if (stream) (void)directory.release();  // the stream's
  return stream;
}

}  // namespace lmsb::os
