# cmake -DROOT=python -DOUT=FILE.cpp -P python_to_cpp.cmake
# The Python package as constants of the program: a trainer and its worker get the one that belongs
# to it, wherever it is installed.
file(GLOB_RECURSE files RELATIVE ${ROOT} ${ROOT}/heddle/*.py)
list(SORT files)
set(text "#include \"train/python_package.hpp\"\n\nnamespace heddle::train {\nnamespace {\n\n")
string(APPEND text "constexpr PackagedFile kFiles[] = {\n")
foreach(name IN LISTS files)
  file(READ ${ROOT}/${name} bytes)
  string(APPEND text "{\"${name}\", R\"HEDDLEPY(${bytes})HEDDLEPY\"},\n")
endforeach()
string(APPEND text "};\n\n}  // namespace\n\n")
string(APPEND text "std::span<const PackagedFile> python_package() { return kFiles; }\n\n")
string(APPEND text "}  // namespace heddle::train\n")
file(WRITE ${OUT} "${text}")
