#include "guest_client/guest_error.h"

#include <cerrno>
#include <utility>

namespace lmsb::guest_client {

Error guest_error(int error, std::string_view what) {
  Error told = Error::from_errno(error, what);
  if (told.code() != ErrorCode::internal) return told;
  return std::move(told).with_code(ErrorCode::failed_precondition);
}

bool is_of_a_tree(int error) {
  switch (error) {
    case EBUSY:
    case EEXIST:
    case EISDIR:
    case ELOOP:
    case ENOTDIR:
    case ENOTEMPTY:
    case ENXIO:
    case EROFS:
    case ETXTBSY:
    case EXDEV: return true;
    default: return false;
  }
}

}  // namespace lmsb::guest_client
