# What `cmake --install` gives: the program, its completions where the shells look for them, configurations, documentation.
include(GNUInstallDirs)

set(completions)
foreach(shell bash zsh fish)
  set(script "${CMAKE_BINARY_DIR}/completions/${shell}")
  add_custom_command(OUTPUT "${script}" DEPENDS kappa VERBATIM
    COMMAND ${CMAKE_COMMAND} -E make_directory "${CMAKE_BINARY_DIR}/completions"
    COMMAND sh -c "\"$1\" completion ${shell} > \"$2\"" sh "$<TARGET_FILE:kappa>" "${script}")
  list(APPEND completions "${script}")
endforeach()
add_custom_target(kappa_completions ALL DEPENDS ${completions})

install(TARGETS kappa)
install(FILES "${CMAKE_BINARY_DIR}/completions/bash" DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME kappa)
install(FILES "${CMAKE_BINARY_DIR}/completions/zsh" DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions RENAME _kappa)
install(FILES "${CMAKE_BINARY_DIR}/completions/fish" DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d RENAME kappa.fish)
install(DIRECTORY configs DESTINATION ${CMAKE_INSTALL_DATADIR}/kappa)
install(PROGRAMS scripts/quickstart-text.sh DESTINATION ${CMAKE_INSTALL_DATADIR}/kappa)
install(FILES README.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})
