-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_bin;
ALTER DATABASE `live` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 trigger `live`.tr before insert on live.t for each row begin
# don't
set @a = 1; end */;;
DELIMITER ;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER="root"@"localhost" SQL SECURITY DEFINER */
/*!50001 VIEW `v` AS select 1 */;
-- Dump completed on 2026-11-23  2:57:49
