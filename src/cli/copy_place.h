#pragma once
// Where `cp` copies from and to, and what the copy is called: the rules of docker cp. Pure.
#include <optional>
#include <string>

#include "base/result.h"

namespace lmsb::cli {

struct CopyPlace {
  std::string sandbox;  // "" = this machine
  std::string path;     // "-" on this machine: a tar archive on stdin or stdout

  bool is_stream() const { return sandbox.empty() && path == "-"; }
  // Whether the path says that a directory is meant, or what is in it: it ends with a slash, or with "/.".
  bool names_directory() const;
  bool names_content() const;
};

// "SANDBOX:PATH", or a path of this machine: whatever begins with '/' or '.', or has a slash before its first colon.
// Errors: invalid_argument (no path behind the colon).
Result<CopyPlace> parse_copy_place(const std::string& text);

// The name that `from` keeps in a directory; "" where it has none of its own, or where only what is in it is meant.
std::string kept_name(const CopyPlace& from);

// What the copy of `from` is called: in an existing directory its own name, else what `to` says. `to_is_directory`:
// `to` exists as one.
std::string copied_path(const CopyPlace& from, const CopyPlace& to, bool to_is_directory);

// The query that names a path of a sandbox; of octets that are no text in base64.
std::string path_query(const std::string& path);

}  // namespace lmsb::cli
