#pragma once
// Which format an archive is to have, or has: `?format=` says so, else Accept of who wants one, and Content-Type of who
// sends one; without a word it is tar. Pure.
#include <optional>
#include <string>

#include "control/file_values.h"
#include "http/message.h"

namespace lmsb::server {

// `named` is the query's, "" when there is none. Nothing: none of the formats that there are.
std::optional<control::ArchiveFormat> wanted_archive(const std::string& named, const http::Request& request);
std::optional<control::ArchiveFormat> sent_archive(const std::string& named, const http::Request& request);

// 406 or 415: what there is.
http::Response refuse_archive(int status);

std::string_view media_type(control::ArchiveFormat format);

}  // namespace lmsb::server
