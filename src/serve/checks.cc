#include "serve/checks.h"

#include <cerrno>
#include <filesystem>
#include <unistd.h>

#include "http/address.h"
#include "image/store.h"

namespace lmsb::serve {
namespace {

Error unusable(const std::string& path, int error) {
  return Error::from_errno(error, "data directory " + path + " cannot be written")
      .with_slug("data_dir_not_writable")
      .with_hint("mount or own it so that root may write there, or choose another: --data-dir DIR");
}

Result<bool> is_loopback(const std::string& listen) {
  LMSB_TRY(const http::HostPort parsed, http::parse_host_port(listen));
  LMSB_TRY(const http::Address address, http::to_address(parsed));
  return address.is_loopback();
}

Result<bool> all_loopback(const std::vector<std::string>& addresses) {
  for (const std::string& listen : addresses) {
    LMSB_TRY(const bool loopback, is_loopback(listen));
    if (!loopback) return false;
  }
  return true;
}

}  // namespace

Status check_power(bool is_root, const os::ReadFile& read_file) {
  if (!is_root)
    return Error(ErrorCode::permission_denied,
                 "serve needs root: sandboxes are made by a small privileged launcher (the daemon itself runs without "
                 "privilege)")
        .with_hint(os::with_users_fault("run: sudo lm-sandbox serve", read_file));
  if (const auto fault = os::fault_for_root(read_file))
    return Error(ErrorCode::failed_precondition, "sandboxes cannot be made here: " + fault->what)
        .with_hint(fault->mend);
  return {};
}

Status check_data_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return unusable(path, error.value());
  if (::access(path.c_str(), W_OK) < 0) return unusable(path, errno);  // a read-only mount is so for root, too
  return {};
}

Status check_binding(const config::Config& config, const std::string& default_image) {
  LMSB_TRY(const bool is_local, all_loopback(config.listen));
  if (is_local) return {};
  if (config.auth.keys.empty() && config.auth.key_sha256.empty())
    return Error(ErrorCode::failed_precondition, "listening beyond loopback needs an API key")
        .with_hint("set [auth] key_file in the configuration, or listen on 127.0.0.1");
  if (default_image == image::kHostImage)
    return Error(ErrorCode::failed_precondition,
                 "image host, this machine's own programs, cannot be the default beyond loopback")
        .with_hint("build image base (sudo lm-sandbox image build base) and start with --default-image base");
  return {};
}

}  // namespace lmsb::serve
