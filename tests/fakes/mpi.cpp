#include <cstring>

extern "C" int MPI_Get_library_version(char* text, int* length) {
  std::strcpy(text, "Open MPI v4.1.4, package: nobody's");
  *length = int(std::strlen(text));
  return 0;
}
