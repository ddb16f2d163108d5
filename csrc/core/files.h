// The few calls on files that are not the same on every system. Paths are UTF-8.
#pragma once

#include <cstdio>
#include <string>

namespace ilo {

// As std::fopen.
std::FILE* open_file(const std::string& path, const char* mode);

// What was written is on the disk when it returns; 0, or an errno.
int flush_to_disk(std::FILE* file);

// `from` in the place of `to`, which may be there or not; 0, or an errno.
int replace_file(const std::string& from, const std::string& to);

void remove_file(const std::string& path);

}  // namespace ilo
