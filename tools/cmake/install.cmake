# cmake --install. Components: programs (bin, completions, pages), core (rooms without LibTorch, headers, the package), torch
# (rooms with LibTorch). The prefix may be moved.
include(CMakePackageConfigHelpers)
set(_package ${CMAKE_INSTALL_LIBDIR}/cmake/Vitrine)
set(_built ${vitrine_BINARY_DIR}/package)

# What each room uses, for find_package(Vitrine COMPONENTS ROOM...).
get_property(_rooms GLOBAL PROPERTY vitrine_rooms)
set(VITRINE_ROOMS "set(vitrine_ROOMS ${_rooms})\n")
string(REPLACE ";" " " VITRINE_ROOMS "${VITRINE_ROOMS}")
foreach(_room ${_rooms})
  get_property(_uses GLOBAL PROPERTY vitrine_uses_${_room})
  get_property(_torch GLOBAL PROPERTY vitrine_torch_${_room})
  if(_torch)
    list(APPEND _uses vitrine_torch)
  endif()
  string(REPLACE ";" " " _uses "${_uses}")
  string(APPEND VITRINE_ROOMS "set(vitrine_uses_${_room} ${_uses})\n")
endforeach()
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/VitrineConfig.cmake.in ${_built}/VitrineConfig.cmake
                              INSTALL_DESTINATION ${_package} NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${_built}/VitrineConfigVersion.cmake COMPATIBILITY SameMinorVersion)

set_target_properties(vitrine_headers PROPERTIES EXPORT_NAME headers)
install(TARGETS vitrine_headers EXPORT Vitrine COMPONENT core)
install(EXPORT Vitrine NAMESPACE vitrine:: FILE VitrineTargets.cmake DESTINATION ${_package} COMPONENT core)
install(EXPORT VitrineTorch NAMESPACE vitrine:: FILE VitrineTorchTargets.cmake DESTINATION ${_package} COMPONENT torch)
install(FILES ${_built}/VitrineConfig.cmake ${_built}/VitrineConfigVersion.cmake ${CMAKE_CURRENT_LIST_DIR}/libraries.cmake
        DESTINATION ${_package} COMPONENT core)
install(DIRECTORY common extract train tools DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/vitrine COMPONENT core
        FILES_MATCHING PATTERN "*.h" PATTERN tools/python EXCLUDE)

# The CUDA half, beside the programs that load it.
install(TARGETS vitrine_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)
install(CODE "foreach(shell bash zsh)
  set(folder \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/\")
  if(shell STREQUAL bash)
    string(APPEND folder bash-completion/completions/)
    set(name vitrine)
  else()
    string(APPEND folder zsh/site-functions/)
    set(name _vitrine)
  endif()
  file(MAKE_DIRECTORY \${folder})
  execute_process(COMMAND \"$<TARGET_FILE:vitrine>\" completion \${shell} OUTPUT_FILE \${folder}\${name} COMMAND_ERROR_IS_FATAL ANY)
endforeach()" COMPONENT programs)
install(DIRECTORY tools/commands/bench/peers DESTINATION ${CMAKE_INSTALL_DATADIR}/vitrine COMPONENT programs
        FILES_MATCHING PATTERN "*.py" PATTERN __pycache__ EXCLUDE)
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT programs)
install(DIRECTORY common extract train tools DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT programs
        FILES_MATCHING PATTERN "*.md" PATTERN tools/python/vitrine_cache EXCLUDE)
install(DIRECTORY configs DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT programs)
