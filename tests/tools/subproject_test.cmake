# Vitrine as a subproject: it configures inside another project, adds no tests to it and no warnings to its sources.
#   cmake -D VITRINE=... -D WORK=... -D GENERATOR=... -D CXX=... -D CUDA=... -P subproject_test.cmake
file(REMOVE_RECURSE ${WORK})
execute_process(COMMAND ${CMAKE_COMMAND} -G "${GENERATOR}" -S ${CMAKE_CURRENT_LIST_DIR}/subproject -B ${WORK}
                        -D VITRINE=${VITRINE} -D CMAKE_CXX_COMPILER=${CXX} -D CMAKE_CUDA_COMPILER=${CUDA}
                COMMAND_ERROR_IS_FATAL ANY)

execute_process(COMMAND ${CMAKE_CTEST_COMMAND} --test-dir ${WORK} -N OUTPUT_VARIABLE tests COMMAND_ERROR_IS_FATAL ANY)
if(NOT tests MATCHES "Total Tests: 0")
  message(FATAL_ERROR "Vitrine added tests:\n${tests}")
endif()

file(READ ${WORK}/compile_commands.json commands)
string(JSON count LENGTH "${commands}")
math(EXPR last "${count} - 1")
set(checked 0)
foreach(i RANGE ${last})
  string(JSON file GET "${commands}" ${i} file)
  if(file MATCHES "/subproject/[a-z]+\\.cpp$")
    string(JSON command GET "${commands}" ${i} command)
    if(command MATCHES " -W(all|extra|error|shadow)")
      message(FATAL_ERROR "Vitrine's warnings reach ${file}:\n${command}")
    endif()
    math(EXPR checked "${checked} + 1")
  endif()
endforeach()
if(NOT checked EQUAL 2)
  message(FATAL_ERROR "expected two compile commands of this project, found ${checked}")
endif()
