// man: prints one manual page, or writes them all.
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>

#include "cli/commands.h"
#include "cli/exit_status.h"
#include "cli/man_page.h"
#include "os/atomic_file.h"

namespace lmsb::cli {
namespace {

Status write_page(const Page& page, const std::string& directory) {
  const std::string folder = directory + "/man" + std::to_string(page.section);
  const std::string name = page.name + "." + std::to_string(page.section);
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) return Error::from_errno(failed.value(), "make the directory " + folder);
  const UniqueFd dir(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return Error::from_errno(errno, "open " + folder);
  const std::string text = page_text(page);
  os::AtomicFile file(dir.get());
  int error = file.open(0644);
  if (error == 0) error = os::write_exactly(file.fd(), text.data(), text.size());
  if (error == 0) error = file.commit(name.c_str(), os::AtomicFile::Existing::replaced);
  return error == 0 ? Status() : Error::from_errno(error, "write " + folder + "/" + name);
}

}  // namespace

Result<int> execute(const ManCommand& command, Console& console) {
  const std::vector<Page> pages = all_pages();
  if (!command.directory.empty()) {
    for (const Page& page : pages) LMSB_CHECK(write_page(page, command.directory));
    return kOk;
  }
  const std::string wanted = command.page.empty() ? pages.front().topic : command.page;
  const auto is_it = [&wanted](const Page& page) { return page.topic == wanted || page.name == wanted; };
  const auto page = std::find_if(pages.begin(), pages.end(), is_it);
  if (page == pages.end()) {
    return Error(ErrorCode::not_found, "there is no manual page " + wanted).with_hint("see lm-sandbox --help");
  }
  console.out(page_text(*page));
  return kOk;
}

}  // namespace lmsb::cli
