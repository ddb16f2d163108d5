// POSIX and Windows.
#include "core/files.h"

#include <cerrno>

#if defined(_WIN32)
#include <io.h>

#include <filesystem>
#include <system_error>
#else
#include <unistd.h>
#endif

namespace ilo {

#if defined(_WIN32)

// Narrow names there are in the code page of the machine, which cannot name every file.
std::FILE* open_file(const std::string& path, const char* mode) {
  const std::wstring wide_mode(mode, mode + std::char_traits<char>::length(mode));
  return _wfopen(std::filesystem::u8path(path).c_str(), wide_mode.c_str());
}

int flush_to_disk(std::FILE* file) {
  return std::fflush(file) != 0 || _commit(_fileno(file)) != 0 ? errno : 0;
}

int replace_file(const std::string& from, const std::string& to) {
  std::error_code error;  // std::rename would refuse where `to` is there
  std::filesystem::rename(std::filesystem::u8path(from), std::filesystem::u8path(to), error);
  return error ? error.default_error_condition().value() : 0;
}

void remove_file(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove(std::filesystem::u8path(path), ignored);
}

#else

std::FILE* open_file(const std::string& path, const char* mode) {
  return std::fopen(path.c_str(), mode);
}

int flush_to_disk(std::FILE* file) {
  return std::fflush(file) != 0 || fsync(fileno(file)) != 0 ? errno : 0;
}

int replace_file(const std::string& from, const std::string& to) {
  return std::rename(from.c_str(), to.c_str()) != 0 ? errno : 0;
}

void remove_file(const std::string& path) { std::remove(path.c_str()); }

#endif

}  // namespace ilo
