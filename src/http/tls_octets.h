#pragma once
// TlsOctets: how OpenSSL reads from and writes to a socket here: without waiting, and without a signal from one that is
// closed. Internal to http.
#include <openssl/bio.h>

#include "base/unique_fd.h"

namespace lmsb::http {

struct TlsOctets {
  BorrowedFd socket;
  int error = 0;            // errno of the last call that failed for good
  unsigned reads_left = 0;  // then it is as if nothing were there
};

// For SSL_set_bio(), which takes it over. `octets` outlives it.
BIO* make_bio(TlsOctets& octets);

}  // namespace lmsb::http
