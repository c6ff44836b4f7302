# cmake -DIN=FILE -DOUT=FILE.cpp -DVARIABLE=kName -P bytes_to_cpp.cmake
file(READ ${IN} bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
file(
  WRITE ${OUT}
  "#include <cstddef>\nnamespace heddle::serve {\n"
  "extern const unsigned char ${VARIABLE}[];\nextern const std::size_t ${VARIABLE}Size;\n"
  "const unsigned char ${VARIABLE}[] = {${bytes}};\n"
  "const std::size_t ${VARIABLE}Size = sizeof ${VARIABLE};\n}\n"
)
