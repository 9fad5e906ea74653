/* What watch.c asks cheat.c for, beside sim.h: 1 once the cheater takes any client's stamp. */
#ifndef QR_SIM_CHEAT_H
#define QR_SIM_CHEAT_H

#include "test/sim/sim.h"

extern int sim_cheat_forging;

#endif
