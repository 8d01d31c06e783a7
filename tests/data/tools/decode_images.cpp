// decode_images [--clip-grey16]: decodes the files whose paths are on standard input, one per line.
// For each file it writes one of, for compare_pillow.py:
//   OK width height     then the pixels (height * width * 3 bytes of RGB)
//   ERR reason
#include <cstdio>
#include <iostream>
#include <string>

#include "data/image/image.h"
#include "data/io/file.h"
#include "engine/base/error.h"

int main(int count, char** arguments) {
  namespace data = reprise::data;
  const bool clip = count > 1 && std::string(arguments[1]) == "--clip-grey16";
  for (std::string path; std::getline(std::cin, path);) {
    try {
      const data::Image image =
          data::decode_image(data::read_file(path), {}, clip ? data::Grey16::clip : data::Grey16::scale);
      std::printf("OK %d %d\n", image.width, image.height);
      std::fwrite(image.rgb.data(), 1, image.rgb.size(), stdout);
    } catch (const reprise::Error& error) {
      std::string reason = error.what();
      for (char& c : reason)
        if (c == '\n') c = ' ';
      std::printf("ERR %s\n", reason.c_str());
    }
    std::fflush(stdout);
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}
